// The vector kernels for AVX-512 (F, BW, VL, DQ): V is one register.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"

// GCC 12's own header leaves a register undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace {

// The tile of `dot` kept in registers: 4 x 6 sums, 4 weights, 1 input of 32 registers.
constexpr int kTileRows = 4;
constexpr int kTileTokens = 6;
constexpr int kTileScatteredRows = 8;  // of a token alone

using V = __m512;

inline __mmask16 FirstLanes(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
inline V Widen(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

inline V Broadcast(float x) { return _mm512_set1_ps(x); }
inline V Load(const float* p) { return _mm512_loadu_ps(p); }
inline V Load(const uint16_t* p) {
  return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// The first `count` < 16 elements, then zeros.
inline V LoadFirst(const float* p, int64_t count) {
  return _mm512_maskz_loadu_ps(FirstLanes(count), p);
}
inline V LoadFirst(const uint16_t* p, int64_t count) {
  return Widen(_mm256_maskz_loadu_epi16(FirstLanes(count), p));
}
inline void Store(float* p, V x) { _mm512_storeu_ps(p, x); }
inline void StoreFirst(float* p, int64_t count, V x) {
  _mm512_mask_storeu_ps(p, FirstLanes(count), x);
}

inline V Add(V a, V b) { return _mm512_add_ps(a, b); }
inline V Sub(V a, V b) { return _mm512_sub_ps(a, b); }
inline V Mul(V a, V b) { return _mm512_mul_ps(a, b); }
inline V Div(V a, V b) { return _mm512_div_ps(a, b); }
inline V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
// b where either is NaN.
inline V Max(V a, V b) { return _mm512_max_ps(a, b); }
inline V Min(V a, V b) { return _mm512_min_ps(a, b); }
inline V RoundToInteger(V x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline V NegativeAbs(V x) { return _mm512_or_ps(x, _mm512_set1_ps(-0.0f)); }
inline V SelectNegative(V x, V if_negative, V otherwise) {
  return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x)), otherwise, if_negative);
}
// 2^x for integers -126 <= x <= 127.
inline V PowerOfTwo(V x) {
  const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}

inline __m256 Low(V x) { return _mm512_castps512_ps256(x); }
inline __m256 High(V x) { return _mm512_extractf32x8_ps(x, 1); }

#include "stocha/kernels/vector.inc"

}  // namespace

namespace stocha {
const KernelTable kAvx512Kernels = kVectorKernels;
}  // namespace stocha
