// Single values of packed rows, for the plain loops that lay rows out and specify the kernels. Not
// for files that are compiled for one ISA.
#ifndef STOCHA_KERNELS_PACKED_VALUES_H_
#define STOCHA_KERNELS_PACKED_VALUES_H_

#include <cstdint>
#include <cstring>

#include "stocha/base/dtype.h"
#include "stocha/kernels/packed.h"

namespace stocha {

inline float LoadF16(const uint8_t* p) {
  uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof(bits));
  return F16ToF32(bits);
}

// Where step `step` of a row begins.
template <typename Byte>
Byte* StepOf(PackedFormat format, Byte* row, int64_t step) {
  return row + step * StepBytes(format, kStepBlocks);
}

// Value i of a plane of 4-bit values.
inline int Nibble(const uint8_t* plane, int64_t i) {
  const uint8_t byte = plane[i / kBlock * 16 + i % 16];
  return i % kBlock < 16 ? byte & 0xF : byte >> 4;
}

// Value i of a step of q6_k, 0 .. 63.
inline int SixBits(const uint8_t* step, int64_t blocks, int64_t i) {
  const int64_t block = i / kBlock;
  const int64_t second = i % kBlock / 16;
  const uint8_t pairs = step[NibbleBytes(blocks) + (block / 8 * 4 + block % 4) * 16 + i % 16];
  const int64_t shift = 2 * (block / 4 % 2) + 4 * second;
  return Nibble(step, i) + ((pairs >> shift & 3) << 4);
}

// What makes weights of block b of a step of q6_k: d scale[half] (q - 32).
struct BlockQ6K {
  BlockQ6K(const uint8_t* step, int64_t blocks, int64_t b) {
    const uint8_t* scales = step + ValueBytes(PackedFormat::kQ6_K, blocks);
    for (int64_t half = 0; half < 2; ++half) {
      scale[half] = static_cast<int8_t>(scales[half * blocks + b]);
    }
    d = LoadF16(scales + 2 * blocks + b / 8 * 2);
  }
  int8_t scale[2];
  float d;
};

// What makes weights of block b of a step of q4_k: scale q - min.
struct BlockQ4K {
  BlockQ4K(const uint8_t* step, int64_t blocks, int64_t b) {
    const uint8_t* scales = step + ValueBytes(PackedFormat::kQ4_K, blocks);
    const uint8_t* mins = scales + blocks;
    const uint8_t* outer = mins + blocks;
    const int64_t pairs = SuperBlocks(blocks * kBlock);
    scale = LoadF16(outer + b / 8 * 2) * static_cast<float>(scales[b]);
    min = LoadF16(outer + (pairs + b / 8) * 2) * static_cast<float>(mins[b]);
  }
  float scale;
  float min;
};

}  // namespace stocha

#endif  // STOCHA_KERNELS_PACKED_VALUES_H_
