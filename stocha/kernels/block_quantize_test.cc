#include "stocha/kernels/block_quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "stocha/base/dtype.h"

namespace stocha {
namespace {

using Block = std::array<float, 32>;

// Sum of squared differences of d q.
template <typename Q>
double ErrorOf(const Block& values, uint16_t d, const Q& q, int offset) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += std::pow(F16ToF32(d) * static_cast<float>(q[i] - offset) - values[i], 2);
  }
  return sum;
}

// Scale and integers as ggml's own quantisers choose them.
double GgmlErrorQ8(const Block& values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  const float d = largest / 127;
  std::array<int, 32> q{};
  for (size_t i = 0; i < q.size() && d != 0; ++i) {
    q[i] = static_cast<int>(std::round(values[i] / d));
  }
  return ErrorOf(values, F32ToF16(d), q, 0);
}

double GgmlErrorQ4(const Block& values) {
  const float extreme =
      *std::ranges::max_element(values, [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float d = extreme / -8;
  std::array<int, 32> q{};
  for (size_t i = 0; i < q.size(); ++i) {
    q[i] = d == 0 ? 8 : std::min(15, static_cast<int>(values[i] / d + 8.5F));
  }
  return ErrorOf(values, F32ToF16(d), q, 8);
}

std::vector<Block> Blocks() {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<Block> blocks(200);
  for (Block& block : blocks) std::ranges::generate(block, [&] { return normal(generator); });
  for (const float scale : {0.0F, 1e-42F, 1e-9F, 1e-6F, 1e5F}) {
    blocks.push_back(blocks.front());
    for (float& value : blocks.back()) value *= scale;
  }
  blocks.emplace_back().fill(0.3F);
  blocks.emplace_back().fill(0);
  blocks.back()[7] = -5;
  return blocks;
}

TEST(BlockQuantizeTest, NoBlockIsFurtherOffThanGgmls) {
  double q8 = 0;
  double q4 = 0;
  double ggml_q8 = 0;
  double ggml_q4 = 0;
  for (const Block& block : Blocks()) {
    std::array<int8_t, 32> signed_q;
    const uint16_t d8 = QuantizeBlockQ8(block.data(), signed_q.data());
    const double error8 = ErrorOf(block, d8, signed_q, 0);
    EXPECT_LE(error8, GgmlErrorQ8(block) * (1 + 1e-5));
    std::array<uint8_t, 32> q;
    const uint16_t d4 = QuantizeBlockQ4(block.data(), q.data());
    const double error4 = ErrorOf(block, d4, q, 8);
    EXPECT_LE(error4, GgmlErrorQ4(block) * (1 + 1e-5));
    EXPECT_LT(*std::ranges::max_element(q), 16);
    if (std::abs(block[0]) > 100) continue;  // it would be all of the sums
    q8 += error8;
    q4 += error4;
    ggml_q8 += GgmlErrorQ8(block);
    ggml_q4 += GgmlErrorQ4(block);
  }
  EXPECT_LT(q8, 0.85 * ggml_q8);
  EXPECT_LT(q4, 0.92 * ggml_q4);
}

// Weights that were rounded to 16 steps before, as in a Q4_1 file, lose less than others.
TEST(BlockQuantizeTest, Q8FindsTheStepsOfRoundedWeights) {
  std::mt19937 generator(4);
  double error = 0;
  double ggml = 0;
  for (int round = 0; round < 200; ++round) {
    Block block;
    for (float& value : block) value = 0.013F * static_cast<float>(generator() % 16) - 0.1F;
    std::array<int8_t, 32> q;
    const uint16_t d = QuantizeBlockQ8(block.data(), q.data());
    error += ErrorOf(block, d, q, 0);
    ggml += GgmlErrorQ8(block);
  }
  EXPECT_LT(error, 0.6 * ggml);
}

}  // namespace
}  // namespace stocha
