// Random weights straight in the layouts of the kernels (kernels/packed.h): a model of a billion
// weights in a second or two.
//
// Weights have mean 0 and the standard deviation asked for; they are the sum of two uniform numbers
// and end at 2.4 standard deviations, near to what a block of 32 trained weights looks like. The
// scale of a block is 0.8 to 1.2 times the mean one.
#ifndef STOCHA_BENCH_RANDOM_ROWS_H_
#define STOCHA_BENCH_RANDOM_ROWS_H_

#include <cstdint>

#include "stocha/kernels/packed.h"

namespace stocha {

// splitmix64: fast, and good enough for weights that nobody trained.
class RandomBits {
 public:
  explicit RandomBits(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // In [0, 1).
  float NextUniform() { return static_cast<float>(Next() >> 40) * 0x1p-24F; }

 private:
  uint64_t state_;
};

// Each fills one row of n weights, as large as RowBytes, HighPlaneBytes ... say.
void FillPackedRow(PackedFormat format, RowUse use, int64_t n, float deviation, RandomBits& bits,
                   uint8_t* row);
void FillHighPlaneRow(int64_t n, float deviation, RandomBits& bits, uint8_t* row);
void FillLowPlaneRow(int64_t n, RandomBits& bits, uint8_t* row);
void FillBF16Row(int64_t n, float deviation, RandomBits& bits, uint16_t* row);
void FillF32Row(int64_t n, float deviation, RandomBits& bits, float* row);

}  // namespace stocha

#endif  // STOCHA_BENCH_RANDOM_ROWS_H_
