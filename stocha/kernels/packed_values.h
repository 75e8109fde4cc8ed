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

// Value i of a plane of 4-bit values.
inline int Nibble(const uint8_t* plane, int64_t i) {
  const uint8_t byte = plane[i / kBlock * 16 + i % 16];
  return i % kBlock < 16 ? byte & 0xF : byte >> 4;
}

}  // namespace stocha

#endif  // STOCHA_KERNELS_PACKED_VALUES_H_
