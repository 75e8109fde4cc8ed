// Rounding weights to ggml's block formats.
#ifndef STOCHA_KERNELS_BLOCK_QUANTIZE_H_
#define STOCHA_KERNELS_BLOCK_QUANTIZE_H_

#include <cstdint>

namespace stocha {

// Blocks of 32 values. Each returns d, as f16 bits: of those that a search tries, the one with the
// least squared error, never further off than ggml's own quantiser.
// q8_0: w = d q, |q| <= 127. Weights that were rounded to few steps before are found again.
uint16_t QuantizeBlockQ8(const float* values, int8_t* q);
// q4_0: w = d (q - 8), 0 <= q < 16.
uint16_t QuantizeBlockQ4(const float* values, uint8_t* q);

// q4_k: 8 blocks; w = d scale q - e min.
struct SuperBlockQ4K {
  uint8_t q[256];    // below 16
  uint8_t scale[8];  // below 64, as min
  uint8_t min[8];
  uint16_t d;  // f16 bits
  uint16_t e;
};
void QuantizeSuperBlockQ4K(const float* values, SuperBlockQ4K* block);

// q6_k: 16 half blocks; w = d scale (q - 32).
struct SuperBlockQ6K {
  uint8_t q[256];  // below 64
  int8_t scale[16];
  uint16_t d;  // f16 bits
};
void QuantizeSuperBlockQ6K(const float* values, SuperBlockQ6K* block);

}  // namespace stocha

#endif  // STOCHA_KERNELS_BLOCK_QUANTIZE_H_
