// Quantised vectors for the tests of packed kernels.
#ifndef STOCHA_KERNELS_PACKED_TESTING_H_
#define STOCHA_KERNELS_PACKED_TESTING_H_

#include <cstdint>
#include <vector>

#include "stocha/kernels/kernels.h"

namespace stocha {

// Owns the 8-bit form of x, [count, size].
struct QuantizedInputs {
  QuantizedInputs(const KernelTable& kernels, const std::vector<float>& x, int64_t size,
                  int64_t count)
      : n(size) {
    const auto stride = QuantizedRows::Stride(n);
    const auto blocks = QuantizedRows::BlockStride(n);
    values.assign(static_cast<size_t>(count * stride), 99);
    scale.assign(static_cast<size_t>(count * blocks), -1);
    sum.assign(scale.size(), 99);
    first_sum.assign(scale.size(), 99);
    energy.assign(scale.size(), -1);
    for (int64_t t = 0; t < count; ++t) {
      kernels.quantize(x.data() + t * n, n,
                       {.values = values.data() + t * stride,
                        .scale = scale.data() + t * blocks,
                        .sum = sum.data() + t * blocks,
                        .first_sum = first_sum.data() + t * blocks,
                        .energy = energy.data() + t * blocks});
    }
  }
  QuantizedRows Rows(int64_t count, const int32_t* index = nullptr) const {
    return {.values = values.data(),
            .scale = scale.data(),
            .sum = sum.data(),
            .first_sum = first_sum.data(),
            .energy = energy.data(),
            .n = n,
            .index = index,
            .count = count};
  }
  int64_t n;
  std::vector<int8_t> values;
  std::vector<float> scale;
  std::vector<int32_t> sum;
  std::vector<int32_t> first_sum;
  std::vector<float> energy;
};

}  // namespace stocha

#endif  // STOCHA_KERNELS_PACKED_TESTING_H_
