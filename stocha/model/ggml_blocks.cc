#include "stocha/model/ggml_blocks.h"

#include <cstdint>
#include <cstring>

#include "stocha/base/dtype.h"

// Products and sums are rounded one by one, as the reference does: this file is compiled with
// -ffp-contract=off.
namespace stocha {
namespace {

constexpr int kSmallBlock = 32;   // values of Q4_0, Q4_1, Q5_0, Q8_0
constexpr int kSuperBlock = 256;  // values of Q4_K, Q5_K, Q6_K

// A block: its bytes as they lie in the file, aligned to nothing.
using Block = const uint8_t*;

float Half(Block bytes) { return F16ToF32(static_cast<uint16_t>(bytes[0] | (bytes[1] << 8))); }

// The nibble of value i, where low nibbles hold the first half of `count` values and high nibbles
// the second.
int Nibble(Block quants, int i, int count) {
  return i < count / 2 ? quants[i] & 15 : quants[i - count / 2] >> 4;
}

void F32(Block block, float* out) { std::memcpy(out, block, sizeof(float)); }

void F16(Block block, float* out) { *out = Half(block); }

void BF16(Block block, float* out) {
  *out = BF16ToF32(static_cast<uint16_t>(block[0] | (block[1] << 8)));
}

// scale, 32 signed bytes.
void Q8_0(Block block, float* out) {
  const float scale = Half(block);
  for (int i = 0; i < kSmallBlock; ++i) {
    out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
  }
}

// scale, 32 nibbles with an offset of 8.
void Q4_0(Block block, float* out) {
  const float scale = Half(block);
  for (int i = 0; i < kSmallBlock; ++i) {
    out[i] = scale * static_cast<float>(Nibble(block + 2, i, kSmallBlock) - 8);
  }
}

// scale, minimum, 32 nibbles.
void Q4_1(Block block, float* out) {
  const float scale = Half(block);
  const float minimum = Half(block + 2);
  for (int i = 0; i < kSmallBlock; ++i) {
    out[i] = scale * static_cast<float>(Nibble(block + 4, i, kSmallBlock)) + minimum;
  }
}

// scale, the fifth bits of 32 values, their nibbles; an offset of 16.
void Q5_0(Block block, float* out) {
  const float scale = Half(block);
  for (int i = 0; i < kSmallBlock; ++i) {
    const int fifth = (block[2 + i / 8] >> (i % 8)) & 1;
    out[i] = scale * static_cast<float>((Nibble(block + 6, i, kSmallBlock) | (fifth << 4)) - 16);
  }
}

// The scale and the minimum of a group of 32 values, 6 bits each. The first four groups have bytes
// of their own; the last four have their low nibbles in bytes 8 to 11 and their upper two bits on
// top of the first four.
struct ScaleAndMinimum {
  int scale;
  int minimum;
};
ScaleAndMinimum UnpackGroup(Block packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  return {(packed[group + 4] & 15) | ((packed[group - 4] >> 6) << 4),
          (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4)};
}

// scale and minimum of the super-block, those of its 8 groups; then come `quants`. Two groups share
// 32 bytes: the first has the low nibbles, the second the high ones. `fifth_bits` (Q5_K): bit g of
// byte i is that of value i in group g.
void GroupsOf32(Block block, Block quants, Block fifth_bits, float* out) {
  const float scale = Half(block);
  const float minimum = Half(block + 2);
  for (int group = 0; group < kSuperBlock / 32; ++group) {
    const ScaleAndMinimum packed = UnpackGroup(block + 4, group);
    const float group_scale = scale * static_cast<float>(packed.scale);
    const float group_minimum = minimum * static_cast<float>(packed.minimum);
    for (int i = 0; i < 32; ++i) {
      const int nibble = (quants[group / 2 * 32 + i] >> (group % 2 * 4)) & 15;
      const int fifth = fifth_bits == nullptr ? 0 : (fifth_bits[i] >> group) & 1;
      *out++ = group_scale * static_cast<float>(nibble | (fifth << 4)) - group_minimum;
    }
  }
}

void Q4_K(Block block, float* out) { GroupsOf32(block, block + 16, nullptr, out); }

void Q5_K(Block block, float* out) { GroupsOf32(block, block + 48, block + 16, out); }

// 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales of 16 values each, the scale of
// the super-block; an offset of 32. Each half of the values has half of the bytes: its four runs of
// 32 share 64 bytes of nibbles (runs 0 and 1 low, 2 and 3 high) and 32 of pairs.
void Q6_K(Block block, float* out) {
  const float scale = Half(block + 208);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128;
    const int run = i % 128 / 32;
    const int nibble = (block[half * 64 + run % 2 * 32 + i % 32] >> (run / 2 * 4)) & 15;
    const int pair = (block[128 + half * 32 + i % 32] >> (run * 2)) & 3;
    const float group_scale = scale * static_cast<float>(static_cast<int8_t>(block[192 + i / 16]));
    out[i] = group_scale * static_cast<float>((nibble | (pair << 4)) - 32);
  }
}

using Dequantize = void (*)(Block, float*);

Dequantize DequantizeOf(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return F32;
    case GgmlType::kF16:
      return F16;
    case GgmlType::kBF16:
      return BF16;
    case GgmlType::kQ8_0:
      return Q8_0;
    case GgmlType::kQ4_0:
      return Q4_0;
    case GgmlType::kQ4_1:
      return Q4_1;
    case GgmlType::kQ5_0:
      return Q5_0;
    case GgmlType::kQ4_K:
      return Q4_K;
    case GgmlType::kQ5_K:
      return Q5_K;
    case GgmlType::kQ6_K:
      return Q6_K;
    case GgmlType::kI8:
      break;
  }
  return nullptr;
}

}  // namespace

void DequantizeBlocks(GgmlType type, std::span<const std::byte> bytes, std::span<float> out) {
  const Dequantize dequantize = DequantizeOf(type);
  const GgmlBlock sizes = BlockOf(type);
  const auto* block = reinterpret_cast<const uint8_t*>(bytes.data());
  for (size_t done = 0; done < out.size(); done += static_cast<size_t>(sizes.elements)) {
    dequantize(block, out.data() + done);
    block += sizes.bytes;
  }
}

}  // namespace stocha
