#include "stocha/model/ggml_blocks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace stocha {
namespace {

// Little-endian float16: 0.5 and -2.
constexpr uint8_t kHalf[] = {0x00, 0x38};
constexpr uint8_t kMinusTwo[] = {0x00, 0xC0};

// The values of one block, put together by `fill` from zeros.
template <typename Fill>
std::vector<float> Values(GgmlType type, const Fill& fill) {
  std::vector<uint8_t> block(static_cast<size_t>(BlockOf(type).bytes));
  fill(block.data());
  std::vector<float> values(static_cast<size_t>(BlockOf(type).elements));
  DequantizeBlocks(type, std::as_bytes(std::span(block)), values);
  return values;
}

void Put(uint8_t* block, const uint8_t (&half)[2]) {
  block[0] = half[0];
  block[1] = half[1];
}

TEST(GgmlBlocksTest, PlainTypes) {
  const std::vector<uint8_t> bytes = {0x00, 0x38, 0x00, 0xC0, 0x01, 0x00};
  std::vector<float> values(3);
  DequantizeBlocks(GgmlType::kF16, std::as_bytes(std::span(bytes)), values);
  EXPECT_EQ(values, (std::vector<float>{0.5F, -2, 0x1p-24F}));
  DequantizeBlocks(GgmlType::kBF16, std::as_bytes(std::span(bytes)), values);
  EXPECT_EQ(values[1], -2);
  const std::vector<float> floats = {1.25F, -3};
  values.resize(2);
  DequantizeBlocks(GgmlType::kF32, std::as_bytes(std::span(floats)), values);
  EXPECT_EQ(values, floats);
}

TEST(GgmlBlocksTest, BlocksOf32) {
  const auto q8_0 = Values(GgmlType::kQ8_0, [](uint8_t* block) {
    Put(block, kHalf);
    block[2] = 0x80;
    block[33] = 127;
  });
  EXPECT_EQ(q8_0[0], -64);
  EXPECT_EQ(q8_0[1], 0);
  EXPECT_EQ(q8_0[31], 63.5F);
  // Low nibbles are values 0 to 15, high ones 16 to 31.
  const auto q4_0 = Values(GgmlType::kQ4_0, [](uint8_t* block) {
    Put(block, kHalf);
    block[2] = 0xF1;
  });
  EXPECT_EQ(q4_0[0], -3.5F);
  EXPECT_EQ(q4_0[16], 3.5F);
  EXPECT_EQ(q4_0[1], -4);
  const auto q4_1 = Values(GgmlType::kQ4_1, [](uint8_t* block) {
    Put(block, kHalf);
    Put(block + 2, kMinusTwo);
    block[19] = 0x4F;
  });
  EXPECT_EQ(q4_1[0], -2);
  EXPECT_EQ(q4_1[15], 5.5F);
  EXPECT_EQ(q4_1[31], 0);
  const auto q5_0 = Values(GgmlType::kQ5_0, [](uint8_t* block) {
    Put(block, kHalf);
    block[2 + 17 / 8] = 1 << (17 % 8);  // the fifth bit of value 17
    block[6 + 1] = 0x3F;
  });
  EXPECT_EQ(q5_0[0], -8);
  EXPECT_EQ(q5_0[1], -0.5F);
  EXPECT_EQ(q5_0[17], 1.5F);
}

TEST(GgmlBlocksTest, BlocksOf256) {
  // Groups 0 and 5: scales 3 and 33, minimums 2 and 17, whose upper bits lie over group 1's.
  const auto put_groups = [](uint8_t* block) {
    Put(block, kHalf);
    Put(block + 2, kHalf);
    block[4] = 3;
    block[8] = 2;
    block[4 + 9] = 0x11;
    block[4 + 1] = 2 << 6;
    block[4 + 5] = 1 << 6;
  };
  const auto q4_k = Values(GgmlType::kQ4_K, [&](uint8_t* block) {
    put_groups(block);
    block[16 + 7] = 0x0F;            // value 7 of group 0
    block[16 + 2 * 32 + 31] = 0x90;  // value 31 of group 5
  });
  EXPECT_EQ(q4_k[0], -1);
  EXPECT_EQ(q4_k[7], 1.5F * 15 - 1);
  EXPECT_EQ(q4_k[32], 0);
  EXPECT_EQ(q4_k[5 * 32], -8.5F);
  EXPECT_EQ(q4_k[5 * 32 + 31], 16.5F * 9 - 8.5F);
  const auto q5_k = Values(GgmlType::kQ5_K, [&](uint8_t* block) {
    put_groups(block);
    block[16 + 31] = 1 << 5;  // the fifth bit of value 31 of group 5
    block[48 + 2 * 32 + 31] = 0x90;
  });
  EXPECT_EQ(q5_k[5 * 32 + 31], 16.5F * 25 - 8.5F);
  EXPECT_EQ(q5_k[31], -1);
  const auto q6_k = Values(GgmlType::kQ6_K, [](uint8_t* block) {
    Put(block + 208, kHalf);
    block[192] = 2;
    block[192 + 15] = 0xFF;       // -1
    block[64 + 32 + 31] = 0x70;   // the nibble of the last value
    block[128 + 32 + 31] = 0xC0;  // and its upper bits
  });
  EXPECT_EQ(q6_k[0], -32);
  EXPECT_EQ(q6_k[16], 0);
  EXPECT_EQ(q6_k[255], -0.5F * (0x37 - 32));
}

}  // namespace
}  // namespace stocha
