// The vector kernels for AVX2 and FMA: V is a pair of registers.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"

namespace {

// The tile of `dot` kept in registers: 2 x 2 sums, 2 weights, 1 input, of 2 registers each, of 16.
constexpr int kTileRows = 2;
constexpr int kTileTokens = 2;
constexpr int kTileScatteredRows = 4;  // of a token alone

struct V {
  __m256 low;
  __m256 high;
};

inline __m256 Widen(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

inline V Broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline V Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline V Load(const uint16_t* p) {
  const auto* bits = reinterpret_cast<const __m128i*>(p);
  return {Widen(_mm_loadu_si128(bits)), Widen(_mm_loadu_si128(bits + 1))};
}
// The first `count` < 16 elements, then zeros.
template <typename T>
inline V LoadFirst(const T* p, int64_t count) {
  T padded[16] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count) * sizeof(T));
  return Load(padded);
}
inline void Store(float* p, V x) {
  _mm256_storeu_ps(p, x.low);
  _mm256_storeu_ps(p + 8, x.high);
}
inline void StoreFirst(float* p, int64_t count, V x) {
  float values[16];
  Store(values, x);
  __builtin_memcpy(p, values, static_cast<uint64_t>(count) * sizeof(float));
}

inline V Add(V a, V b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline V Sub(V a, V b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline V Mul(V a, V b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline V Div(V a, V b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
inline V Fma(V a, V b, V c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
// b where either is NaN.
inline V Max(V a, V b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline V Min(V a, V b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline V RoundToInteger(V x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.low, kMode), _mm256_round_ps(x.high, kMode)};
}
inline V NegativeAbs(V x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(x.low, sign), _mm256_or_ps(x.high, sign)};
}
inline V SelectNegative(V x, V if_negative, V otherwise) {
  return {_mm256_blendv_ps(otherwise.low, if_negative.low, x.low),
          _mm256_blendv_ps(otherwise.high, if_negative.high, x.high)};
}
inline __m256 PowerOfTwo(__m256 x) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
// 2^x for integers -126 <= x <= 127.
inline V PowerOfTwo(V x) { return {PowerOfTwo(x.low), PowerOfTwo(x.high)}; }

inline __m256 Low(V x) { return x.low; }
inline __m256 High(V x) { return x.high; }

#include "stocha/kernels/vector.inc"

}  // namespace

namespace stocha {
const KernelTable kAvx2Kernels = kVectorKernels;
}  // namespace stocha
