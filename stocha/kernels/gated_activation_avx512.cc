// The gated activation for AVX-512 (F, BW, DQ, VL): 16 floats a vector, masks in mask registers.
#include <immintrin.h>

#include <cstdint>

#include "stocha/kernels/gated_activation_rows.h"

// GCC 12's own header leaves a register undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace stocha {
namespace {

using F = __m512;
using Mask = __mmask16;
using U64 = __m512i;
constexpr int kLanes = 16;

inline F Broadcast(float value) { return _mm512_set1_ps(value); }
inline F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
inline F NegativeFma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
inline F Abs(F a) { return _mm512_abs_ps(a); }
inline F NegativeAbs(F a) { return _mm512_or_ps(a, Broadcast(-0.0f)); }
inline F CopySign(F magnitude, F sign) {
  return _mm512_or_ps(magnitude, _mm512_and_ps(sign, Broadcast(-0.0f)));
}
inline F RoundToInteger(F a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline F TimesPowerOf2(F a, F exponent) { return _mm512_scalef_ps(a, exponent); }
inline double SumOfLanes(F a) {
  return _mm512_reduce_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a))) +
         _mm512_reduce_add_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)));
}

inline Mask Less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline Mask NotLess(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ); }
inline Mask NotEqual(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
inline Mask IsLessOrGreater(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_OQ); }
inline F Select(Mask mask, F yes, F no) { return _mm512_mask_mov_ps(no, mask, yes); }
inline F KeepWhere(Mask mask, F a) { return _mm512_maskz_mov_ps(mask, a); }
inline F KeepUnless(Mask mask, F a) { return _mm512_maskz_mov_ps(_knot_mask16(mask), a); }
inline int CountTrue(Mask mask) { return __builtin_popcount(mask); }

inline F Load(const float* from) { return _mm512_loadu_ps(from); }
inline F Load(const uint16_t* from) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
inline void Store(F value, float* to) { _mm512_storeu_ps(to, value); }
// F32ToBF16 of base/dtype.h.
inline void Store(F value, uint16_t* to) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  const Mask is_nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
}

inline U64 Broadcast32(uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }
// Counters first to first + 7, in the order that CoinsBelow undoes.
inline U64 CountersFrom(uint32_t first) {
  return _mm512_add_epi32(Broadcast32(first), _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0));
}
inline U64 MultiplyLow32(U64 a, U64 b) { return _mm512_mul_epu32(a, b); }
inline U64 HighHalf(U64 a) { return _mm512_srli_epi64(a, 32); }
inline U64 Xor3(U64 a, U64 b, U64 c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
inline U64 PackLowHalves(U64 low, U64 high) {
  return _mm512_mask_shuffle_epi32(low, 0xAAAA, high, _MM_PERM_CCAA);
}
// words01, words23: the four words of 8 blocks, 4 + 4 coins of 16 bits a lane. Interleaved, the
// even lanes are the coins of the first four counters in neuron order, the odd lanes the others'.
inline void CoinsBelow(uint32_t threshold, U64 words01, U64 words23, Mask coins[4]) {
  const __m512i limit = _mm512_set1_epi16(static_cast<int16_t>(threshold));
  const uint32_t first = _mm512_cmplt_epu16_mask(_mm512_unpacklo_epi64(words01, words23), limit);
  const uint32_t last = _mm512_cmplt_epu16_mask(_mm512_unpackhi_epi64(words01, words23), limit);
  coins[0] = static_cast<Mask>(first);
  coins[1] = static_cast<Mask>(first >> 16);
  coins[2] = static_cast<Mask>(last);
  coins[3] = static_cast<Mask>(last >> 16);
}

#include "stocha/kernels/gated_activation_rows.inc"

}  // namespace

const GatedRowKernels kGatedRowAvx512 = kKernels;

}  // namespace stocha
