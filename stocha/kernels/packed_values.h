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
