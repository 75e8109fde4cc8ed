// The specification of kernels.h: plain loops, sums over n in double. Not fast, and not meant to
// be. Compiled without contraction (CMakeLists.txt), so that a product is rounded before it is
// added.
#include <algorithm>
#include <cmath>

#include "stocha/base/dtype.h"
#include "stocha/kernels/kernel_sets.h"

namespace stocha {
namespace {

float Widen(float value) { return value; }
float Widen(uint16_t bits) { return BF16ToF32(bits); }

template <typename T>
T* Row(const Rows<T>& rows, int64_t r) {
  return rows.data + rows.stride * (rows.index == nullptr ? r : rows.index[r]);
}

template <typename W>
void Dot(const Rows<const W>& weights, const Rows<const float>& x, int64_t n, float* out,
         int64_t out_stride) {
  for (int64_t t = 0; t < x.count; ++t) {
    for (int64_t r = 0; r < weights.count; ++r) {
      const W* w = Row(weights, r);
      const float* values = Row(x, t);
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += double{Widen(w[i])} * double{values[i]};
      out[t * out_stride + r] = static_cast<float>(sum);
    }
  }
}

template <typename W>
void Axpy(const Rows<const W>& weights, const float* scale, int64_t scale_stride,
          const Rows<float>& y, int64_t n) {
  for (int64_t t = 0; t < y.count; ++t) {
    float* sums = Row(y, t);
    for (int64_t r = 0; r < weights.count; ++r) {
      const W* w = Row(weights, r);
      const float factor = scale[t * scale_stride + r];
      for (int64_t i = 0; i < n; ++i) sums[i] += factor * Widen(w[i]);
    }
  }
}

void RmsNorm(const float* x, const float* weight, float epsilon, int64_t n, float* y) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
  const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + double{epsilon});
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] * scale * weight[i]);
}

float Max(const float* x, int64_t n) { return *std::max_element(x, x + n); }

float ExpSum(const float* x, float shift, int64_t n, float* y) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<float>(std::exp(double{x[i] - shift}));
    sum += double{y[i]};
  }
  return static_cast<float>(sum);
}

void SiluOf(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) {
    const double value = x[i];
    y[i] = static_cast<float>(value / (1 + std::exp(-value)));
  }
}

}  // namespace

const KernelTable kScalarKernels = {
    .f32 = {.dot = Dot<float>, .axpy = Axpy<float>},
    .bf16 = {.dot = Dot<uint16_t>, .axpy = Axpy<uint16_t>},
    .q8_0 = kScalarQ8_0,
    .q4_0 = kScalarQ4_0,
    .q4_k = kScalarQ4_K,
    .q6_k = kScalarQ6_K,
    .planes = kScalarPlanes,
    .quantize = ScalarQuantize,
    .rms_norm = RmsNorm,
    .max = Max,
    .exp_sum = ExpSum,
    .silu = SiluOf,
};

}  // namespace stocha
