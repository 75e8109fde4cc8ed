// The engine's kernels: one table of functions an instruction set, and the contract of each.
//
// scalar.cc is the specification: plain loops, sums in double. The vector sets (avx2.cc,
// avxvnni.cc, avx512.cc, amx.cc, neon.cc) are one source, vector.inc, over a vector of 16 floats,
// and give the same bits as each other. docs/kernels.md tells how to add one.
//
// Within one set a result depends on its own operands alone, never on how many rows or tokens one
// call handles, so callers may tile and split as they like:
//   sum over n     16 partial sums, element i in sum i mod 16, in rising order by fused
//   multiply-add;
//                  then s[i] + s[i + 8], + 4, + 2, + 1.
//   sum over rows  one fused multiply-add a row and element, in the order the rows are given.
//
//   sum over n of  each block of 32 is summed in integers, exactly; the blocks are summed as the
//   packed rows    elements above: block b in partial sum b mod 16.
// So products with packed rows (packed.h) are the same bits in every set, the scalar one too.
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

// Vectors in 8 bits, as packed rows are multiplied with: x[i] = scale[b] * q[i], b = i / 32, |q| <=
// 127. A vector of n values takes Stride values and BlockStride blocks, zeros behind the last ones.
// Values stand chunk by chunk (packed.h): 64 bytes of first halves of 4 blocks, 64 of second ones.
struct QuantizedRows {
  const int8_t* values = nullptr;      // [vectors, Stride(n)]
  const float* scale = nullptr;        // [vectors, BlockStride(n)]
  const int32_t* sum = nullptr;        // likewise: the sum of q over the block
  const int32_t* first_sum = nullptr;  // likewise: over its first half
  const float* energy = nullptr;       // likewise: the sum of q^2
  int64_t n = 0;
  const int32_t* index = nullptr;  // [count]; null: first, first + 1 ...
  int64_t count = 0;

  static constexpr int64_t Stride(int64_t n) { return (n + 511) / 512 * 512; }
  static constexpr int64_t BlockStride(int64_t n) { return Stride(n) / 32; }
};

// Room for one of them.
struct QuantizedVector {
  int8_t* values;  // [Stride(n)]
  float* scale;    // [BlockStride(n)], as the following
  int32_t* sum;
  int32_t* first_sum;
  float* energy;
};

// out[t * out_stride + r] = sum over i < x.n of weights[r][i] * x[t][i]; rows are in bytes.
using PackedDot = void (*)(const Rows<const uint8_t>& weights, const QuantizedRows& x, float* out,
                           int64_t out_stride);

// Of one packed format.
struct PackedKernels {
  PackedDot dot;

  // y[t][i] += sum over r, in order, of scale[t * scale_stride + r] * weights[r][i], i < n: scale
  // times the row's d is rounded, then multiplied with q and added, fused. (q4_k: d s q - e m is
  // rounded, then multiplied with scale and added, fused.)
  void (*axpy)(const Rows<const uint8_t>& weights, const float* scale, int64_t scale_stride,
               const Rows<float>& y, int64_t n);

  // For the first vector of x: y[i] += sum over r, in order, of act[r] * (up[r] . x) * down[r][i],
  // i < x.n, as dot and then axpy give it. Each row is read once, in the order given.
  void (*ffn)(const Rows<const uint8_t>& up, const Rows<const uint8_t>& down, const float* act,
              const QuantizedRows& x, float* y);
};

// q8_0 in planes: row r of `high` and of `low` are one row.
struct PlaneKernels {
  // As PackedKernels::dot on the q8_0 row.
  void (*dot)(const Rows<const uint8_t>& high, const Rows<const uint8_t>& low,
              const QuantizedRows& x, float* out, int64_t out_stride);

  // What the high plane alone tells of row r and vector t: an estimate of the product (low halves
  // taken for their mean, 7.5), and the standard deviation of its error if they are uniform.
  void (*screen)(const Rows<const uint8_t>& high, const QuantizedRows& x, float* estimate,
                 float* deviation, int64_t out_stride);
};

// At most so many vectors, and rows of axpy, meet in one call of TileKernels.
inline constexpr int64_t kMostTileVectors = 256;
inline constexpr int64_t kMostTileRows = 256;

// Vectors in bfloat16, 16 a group: [groups, n / 2, 16 vectors, 2 values], n a multiple of 32; zeros
// in place of vectors that the last group lacks. 64-byte aligned.
struct TileVectors {
  const uint16_t* values = nullptr;
  int64_t n = 0;
  int64_t count = 0;
};

// Where the 16 values from i on, a multiple of 16, of vector t of n stand in tiles of 16 vectors.
constexpr int64_t TileOffset(int64_t n, int64_t t, int64_t i) {
  return t / 16 * 16 * n + i * 16 + t % 16 * 16;
}

// Products with many vectors, faster than PackedKernels' and of other bits: weights, and vectors or
// scales, are rounded to bfloat16, and sums are of floats in the hardware's order. A product is
// within (2^-7 + n 2^-23) sum |w x| of the exact one. It depends on its operands alone, as
// elsewhere.
struct TileKernels {
  // Group `group` of the vectors x becomes that of `out`, room for all of them.
  void (*pack)(const Rows<const float>& x, int64_t n, int64_t group, uint16_t* out);

  struct Packed {
    void (*dot)(const Rows<const uint8_t>& weights, const TileVectors& x, float* out,
                int64_t out_stride);
    // Of PackedKernels::axpy, to `vectors` vectors y, which lie as TileOffset says; room for a
    // multiple of 16, of which the last ones stay as they are.
    void (*axpy)(const Rows<const uint8_t>& weights, const float* scale, int64_t scale_stride,
                 int64_t vectors, int64_t n, float* y);
  };
  Packed q8_0;
  Packed q4_0;
  Packed q4_k;
  void (*planes)(const Rows<const uint8_t>& high, const Rows<const uint8_t>& low,
                 const TileVectors& x, float* out, int64_t out_stride);
};

struct KernelTable {
  WeightKernels<float> f32;
  WeightKernels<uint16_t> bf16;
  const PackedKernels& q8_0;
  const PackedKernels& q4_0;
  const PackedKernels& q4_k;
  PackedDot q6_k;
  const PlaneKernels& planes;

  // One vector of QuantizedRows out of x [n], n a multiple of 32: scale = max |x| / 127 over the
  // block, q = x / scale rounded to the nearest, ties to even (127 / max |x| is multiplied with).
  // Every pad is written. A block with NaN or infinity gives finite nonsense with a scale of NaN.
  void (*quantize)(const float* x, int64_t n, const QuantizedVector& out);

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

  const TileKernels* tiles = nullptr;  // of a set that has them
};

// The set of `isa`, which this machine must have (AvailableIsas).
const KernelTable& Kernels(Isa isa);

}  // namespace stocha

#endif  // STOCHA_KERNELS_KERNELS_H_
