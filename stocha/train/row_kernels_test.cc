// Every ISA's row kernels against the portable ones, on rows that do not fill their last vector.
#include "stocha/train/row_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

constexpr int64_t kSize = 53;

std::vector<float> Values(int seed) {
  std::vector<float> values(kSize);
  for (int64_t i = 0; i < kSize; ++i) {
    values[i] = 3 * std::sin(static_cast<float>(seed) + 1.7f * static_cast<float>(i * i));
  }
  return values;
}

std::vector<uint16_t> Narrow(const std::vector<float>& values) {
  std::vector<uint16_t> narrow(values.size());
  std::transform(values.begin(), values.end(), narrow.begin(), F32ToBF16);
  return narrow;
}

std::vector<const RowKernels*> Available() {
  std::vector<const RowKernels*> all = {&kRowKernelsPortable};
#if defined(__x86_64__)
  for (const Isa isa : AvailableIsas()) {
    if (isa == Isa::kAvx2) all.push_back(&kRowKernelsAvx2);
    if (isa == Isa::kAvx512) all.push_back(&kRowKernelsAvx512);
    if (isa == Isa::kAvx512 && HasAvx512Bf16()) all.push_back(&kRowKernelsAvx512Bf16);
  }
#endif
  return all;
}

TEST(RowKernels, SoftmaxIsThatOfDoubles) {
  for (const RowKernels* kernels : Available()) {
    for (const int64_t valid : {int64_t{1}, int64_t{7}, int64_t{16}, kSize}) {
      const std::vector<float> before = Values(1);
      std::vector<float> scores = before;
      kernels->softmax_f32({.size = kSize, .valid = valid, .scale = 0.5, .scores = scores.data()});
      double sum = 0;
      for (int64_t i = 0; i < valid; ++i) sum += std::exp(0.5 * before[i]);
      for (int64_t i = 0; i < kSize; ++i) {
        const double expected = i < valid ? std::exp(0.5 * before[i]) / sum : 0;
        EXPECT_NEAR(scores[i], expected, 1e-6 * expected) << i;
      }
    }
  }
}

TEST(RowKernels, FarBelowTheMaximumIsZero) {
  for (const RowKernels* kernels : Available()) {
    std::vector<float> scores = {0, -86, -88, -1000, -INFINITY};
    kernels->softmax_f32({.size = 5, .valid = 5, .scale = 1, .scores = scores.data()});
    EXPECT_EQ(scores[0], 1);
    EXPECT_NEAR(scores[1], std::exp(-86.0), 1e-6 * std::exp(-86.0));
    EXPECT_EQ((std::vector<float>{scores[2], scores[3], scores[4]}), (std::vector<float>{0, 0, 0}));
  }
}

TEST(RowKernels, BFloat16IsRoundedOnceOnTheStore) {
  for (const RowKernels* kernels : Available()) {
    const std::vector<uint16_t> x = Narrow(Values(2));
    const std::vector<float> weight = Values(3);
    std::vector<float> wide_x(kSize);
    std::transform(x.begin(), x.end(), wide_x.begin(), BF16ToF32);
    std::vector<float> wide(kSize);
    std::vector<uint16_t> narrow(kSize);
    const float inverse_rms = kernels->rms_norm_f32({.size = kSize,
                                                     .weight = weight.data(),
                                                     .epsilon = 1e-5f,
                                                     .x = wide_x.data(),
                                                     .normed = wide.data()});
    EXPECT_EQ(kernels->rms_norm_bf16({.size = kSize,
                                      .weight = weight.data(),
                                      .epsilon = 1e-5f,
                                      .x = x.data(),
                                      .normed = narrow.data()}),
              inverse_rms);
    EXPECT_EQ(narrow, Narrow(wide));
  }
}

TEST(RowKernels, NothingIsWrittenBeyondARow) {
  for (const RowKernels* kernels : Available()) {
    std::vector<float> from = Values(4);
    std::vector<float> to(kSize, -9);
    const std::vector<float> cos(5, 0.6f);
    const std::vector<float> sin(5, 0.8f);
    // Two heads of 10 in steps of 20.
    kernels->rotate_f32({.heads = 2,
                         .half = 5,
                         .cos = cos.data(),
                         .sin = sin.data(),
                         .from = from.data(),
                         .to = to.data(),
                         .from_stride = 10,
                         .to_stride = 20});
    for (int64_t i = 0; i < kSize; ++i) {
      EXPECT_EQ(to[i] == -9, (i >= 10 && i < 20) || i >= 30) << i;
    }
    EXPECT_NEAR(to[0], 0.6f * from[0] - 0.8f * from[5], 1e-6);
    EXPECT_NEAR(to[29], 0.6f * from[19] + 0.8f * from[14], 1e-6);
  }
}

}  // namespace
}  // namespace stocha
