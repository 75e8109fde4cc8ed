// The gated activation for AVX2 with FMA: 8 floats a vector, masks as vectors of all-one lanes.
#include <immintrin.h>

#include <cstdint>

#include "stocha/kernels/gated_activation_rows.h"

namespace stocha {
namespace {

using F = __m256;
using Mask = __m256;
using U64 = __m256i;
constexpr int kLanes = 8;

inline F Broadcast(float value) { return _mm256_set1_ps(value); }
inline F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
inline F NegativeFma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
inline F Abs(F a) { return _mm256_andnot_ps(Broadcast(-0.0f), a); }
inline F NegativeAbs(F a) { return _mm256_or_ps(a, Broadcast(-0.0f)); }
inline F CopySign(F magnitude, F sign) {
  return _mm256_or_ps(magnitude, _mm256_and_ps(sign, Broadcast(-0.0f)));
}
inline F RoundToInteger(F a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// a in [0.5, 2), so that adding to the exponent's bits is the product while that is normal.
inline F TimesPowerOf2(F a, F exponent) {
  const __m256i bits = _mm256_slli_epi32(_mm256_cvtps_epi32(exponent), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), bits));
}
inline double SumOfLanes(F a) {
  const __m256d sums = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(a)),
                                     _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)));
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

inline Mask Less(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
inline Mask NotLess(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_NLT_UQ); }
inline Mask NotEqual(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ); }
inline Mask IsLessOrGreater(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_OQ); }
inline F Select(Mask mask, F yes, F no) { return _mm256_blendv_ps(no, yes, mask); }
inline F KeepWhere(Mask mask, F a) { return _mm256_and_ps(mask, a); }
inline F KeepUnless(Mask mask, F a) { return _mm256_andnot_ps(mask, a); }
inline int CountTrue(Mask mask) { return __builtin_popcount(_mm256_movemask_ps(mask)); }

inline F Load(const float* from) { return _mm256_loadu_ps(from); }
inline F Load(const uint16_t* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline void Store(F value, float* to) { _mm256_storeu_ps(to, value); }
// F32ToBF16 of base/dtype.h.
inline void Store(F value, uint16_t* to) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const F kept = Select(_mm256_cmp_ps(value, value, _CMP_UNORD_Q), _mm256_castsi256_ps(quiet),
                        _mm256_castsi256_ps(rounded));
  const __m256i halves = _mm256_srli_epi32(_mm256_castps_si256(kept), 16);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}

inline U64 Broadcast32(uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); }
// Counters first to first + 3, in the order that CoinsBelow undoes.
inline U64 CountersFrom(uint32_t first) {
  return _mm256_add_epi32(Broadcast32(first), _mm256_set_epi64x(3, 1, 2, 0));
}
inline U64 MultiplyLow32(U64 a, U64 b) { return _mm256_mul_epu32(a, b); }
inline U64 HighHalf(U64 a) { return _mm256_srli_epi64(a, 32); }
inline U64 Xor3(U64 a, U64 b, U64 c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
inline U64 PackLowHalves(U64 low, U64 high) {
  return _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xAA);
}
// words01, words23: the four words of 4 blocks, 4 + 4 coins of 16 bits a lane. Interleaved, the
// even lanes are the coins of the first two counters in neuron order, the odd lanes the others'.
inline void CoinsBelow(uint32_t threshold, U64 words01, U64 words23, Mask coins[4]) {
  // AVX2 compares signed: flip the top bit of both sides.
  const __m256i flip = _mm256_set1_epi16(INT16_MIN);
  const __m256i limit = _mm256_set1_epi16(static_cast<int16_t>(threshold ^ 0x8000));
  const __m256i bits[2] = {_mm256_unpacklo_epi64(words01, words23),
                           _mm256_unpackhi_epi64(words01, words23)};
  for (int i = 0; i < 2; ++i) {
    const __m256i below = _mm256_cmpgt_epi16(limit, _mm256_xor_si256(bits[i], flip));
    const __m128i low = _mm256_castsi256_si128(below);
    const __m128i high = _mm256_extracti128_si256(below, 1);
    coins[2 * i] = _mm256_castsi256_ps(_mm256_cvtepi16_epi32(low));
    coins[2 * i + 1] = _mm256_castsi256_ps(_mm256_cvtepi16_epi32(high));
  }
}

#include "stocha/kernels/gated_activation_rows.inc"

}  // namespace

const GatedRowKernels kGatedRowAvx2 = kKernels;

}  // namespace stocha
