// The engine's kernels: one table of functions an instruction set, and the contract of each.
//
// scalar.cc is the specification: plain loops, sums in double. The vector sets (avx2.cc, avx512.cc)
// are one source, vector.inc, over a vector of 16 floats, and give the same bits as each other.
//
// Within one set a result depends on its own operands alone, never on how many rows or tokens one
// call handles, so callers may tile and split as they like:
//   sum over n     16 partial sums, element i in sum i mod 16, in rising order by fused
//   multiply-add;
//                  then s[i] + s[i + 8], + 4, + 2, + 1.
//   sum over rows  one fused multiply-add a row and element, in the order the rows are given.
//
// Pointers need no alignment beyond their type's. No kernel allocates, throws or keeps state.
//
// Files compiled for one ISA include this, so it holds no code and includes no STL.
#ifndef STOCHA_KERNELS_KERNELS_H_
#define STOCHA_KERNELS_KERNELS_H_

#include <cstdint>

namespace stocha {

enum class Isa : uint8_t;

// A sum over n is kept as this many partial sums.
inline constexpr int kPartialSums = 16;

// Rows picked out of a matrix: row r begins at data + stride * (index ? index[r] : r).
template <typename T>
struct Rows {
  T* data = nullptr;
  int64_t stride = 0;              // elements
  const int32_t* index = nullptr;  // [count]; null: 0, 1, 2 ...
  int64_t count = 0;
};

// W is float, or uint16_t holding bfloat16, which is widened exactly.
template <typename W>
struct WeightKernels {
  // out[t * out_stride + r] = sum over i < n of weights[r][i] * x[t][i].
  // Vector against scalar: within (n / 16 + 6) 2^-24 * sum |weights[r][i] x[t][i]|.
  void (*dot)(const Rows<const W>& weights, const Rows<const float>& x, int64_t n, float* out,
              int64_t out_stride);

  // y[t][i] += sum over r, in order, of scale[t * scale_stride + r] * weights[r][i], i < n.
  // Vector against scalar: within 3 weights.count 2^-24 * (|y[t][i]| + sum |scale weights|).
  void (*axpy)(const Rows<const W>& weights, const float* scale, int64_t scale_stride,
               const Rows<float>& y, int64_t n);
};

struct KernelTable {
  WeightKernels<float> f32;
  WeightKernels<uint16_t> bf16;

  // y[i] = x[i] / sqrt(mean of x^2 + epsilon) * weight[i]; y may be x. Vector against scalar:
  // within (n / 16 + 10) 2^-24 |y[i]|.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, int64_t n, float* y);

  // The largest x[i]; n > 0. A NaN among them may or may not come out.
  float (*max)(const float* x, int64_t n);

  // y[i] = exp(x[i] - shift), and their sum; y may be x. The difference is rounded to float first.
  // Vector against scalar: each y within 3 * 2^-24 y + 2^-149, the sum within (n / 16 + 9) 2^-24 of
  // itself. NaN gives NaN.
  float (*exp_sum)(const float* x, float shift, int64_t n, float* y);

  // y[i] = x[i] / (1 + exp(-x[i])); y may be x. Vector against scalar: within 8 * 2^-24 |y| +
  // 2^-149.
  void (*silu)(const float* x, int64_t n, float* y);
};

// The set of `isa`, which this machine must have (AvailableIsas).
const KernelTable& Kernels(Isa isa);

}  // namespace stocha

#endif  // STOCHA_KERNELS_KERNELS_H_
