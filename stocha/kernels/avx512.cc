// The vector kernels for AVX-512 (F, BW, VL, DQ, VNNI): V, I and B are one register each.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

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

// Lanes i + 8, then + 4, + 2, + 1.
inline float SumLanes(V x) {
  const __m256 sums8 = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  const __m128 sums4 = _mm_add_ps(_mm256_castps256_ps128(sums8), _mm256_extractf128_ps(sums8, 1));
  const __m128 sums2 = _mm_add_ps(sums4, _mm_movehl_ps(sums4, sums4));
  return _mm_cvtss_f32(_mm_add_ss(sums2, _mm_movehdup_ps(sums2)));
}

#include "stocha/kernels/vector.inc"

// --- What packed.inc works with.

constexpr int kTileVectors = 8;  // sums kept in registers, of vectors that share 16 rows
constexpr int kAxpyVectors = 8;

using B = __m512i;
using I = __m512i;

inline B LoadBytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
// `parts` < 4 times 16 bytes, then zeros.
inline B LoadBytesFirst(const uint8_t* p, int64_t parts) {
  return _mm512_maskz_loadu_epi32(FirstLanes(4 * parts), p);
}
inline void StoreBytes(uint8_t* p, B x) { _mm512_storeu_si512(p, x); }
inline B AsBytes(V x) { return _mm512_castps_si512(x); }
inline B BroadcastDword(const uint8_t* p) {
  int32_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return _mm512_set1_epi32(value);
}
inline B LowNibbles(B x) { return _mm512_and_si512(x, _mm512_set1_epi8(0xF)); }
inline B HighNibbles(B x) { return LowNibbles(_mm512_srli_epi16(x, 4)); }
// Bytes of a nibble of `high` and one of `low`, the low ones of both or the high ones.
inline B JoinLowNibbles(B high, B low) {
  const B mask = _mm512_set1_epi8(0xF);
  return _mm512_ternarylogic_epi32(_mm512_slli_epi16(_mm512_and_si512(high, mask), 4), low, mask,
                                   0xF8);  // a | (b & c)
}
inline B JoinHighNibbles(B high, B low) {
  const B mask = _mm512_set1_epi8(0xF);
  return _mm512_ternarylogic_epi32(mask, high, _mm512_srli_epi16(low, 4), 0xAC);  // a ? c : b
}

inline I ZeroInts() { return _mm512_setzero_si512(); }
inline I LoadInts(const int32_t* p) { return _mm512_loadu_si512(p); }
inline I BroadcastInt(int32_t x) { return _mm512_set1_epi32(x); }
inline I AddInts(I a, I b) { return _mm512_add_epi32(a, b); }
inline I SubInts(I a, I b) { return _mm512_sub_epi32(a, b); }
inline I MulInts(I a, I b) { return _mm512_mullo_epi32(a, b); }
inline I MulInts(I a, int32_t b) { return MulInts(a, BroadcastInt(b)); }
template <int kBits>
inline I ShiftLeft(I x) {
  return _mm512_slli_epi32(x, kBits);
}
inline int32_t SumInts(I x) { return _mm512_reduce_add_epi32(x); }
inline V ToFloats(I x) { return _mm512_cvtepi32_ps(x); }
inline I RoundToInts(V x) { return _mm512_cvtps_epi32(x); }
inline float MinLane(V x) { return _mm512_reduce_min_ps(x); }
inline V NegativeFma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }

inline V LoadF16(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline V LoadF16First(const uint8_t* p, int64_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FirstLanes(count), p));
}
inline V SignedBytes(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline V UnsignedBytes(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline V UnsignedBytesFirst(const uint8_t* p, int64_t count) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(FirstLanes(count), p)));
}
// Two f16 numbers, 8 lanes each; only the first for count <= 8.
inline V Spread8(const uint8_t* p, int64_t count) {
  const __m128i bits = _mm_maskz_loadu_epi16(count > 8 ? 3 : 1, p);
  const __m512i lanes = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(_mm_cvtph_ps(bits)));
}
// The 32 values of 16 bytes of nibbles, less kOffset.
template <int kOffset>
inline void NibblesAsFloats(const uint8_t* p, V* low, V* high) {
  const V table = _mm512_sub_ps(_mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                _mm512_set1_ps(kOffset));
  const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  *low = _mm512_permutexvar_ps(bytes, table);  // looks at 4 bits of each lane
  *high = _mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), table);
}
// The low byte of each lane.
inline void StoreSignedBytes(int8_t* p, I x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
}

// acc[lane] += sum over 4 bytes of w (unsigned) times x (signed).
template <bool kWide>
inline I DotBytes(I acc, B w, B x) {
  return _mm512_dpbusd_epi32(acc, w, x);
}
// Sums of q x out of those of (q + 128) x.
inline I CenterWide(I dots, I sum) { return SubInts(dots, ShiftLeft<7>(sum)); }

// Four lanes a block, chunk by chunk, into one lane a block.
inline I SumChunks(const I* chunks) {
  const auto pairs = [](I a, I b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  };
  const I ab = pairs(chunks[0], chunks[1]);
  const I cd = pairs(chunks[2], chunks[3]);
  const I sums = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  // sums: lane 4 q + c is block q of chunk c.
  const I order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_permutexvar_epi32(order, sums);
}

// 16 x 16 dwords.
inline void Transpose(B* rows) {
  B t[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const B a = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    const B b = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    const B c = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]);
    const B d = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  // t[i + j]: of rows i .. i + 3, dword 4 q + j in quarter q.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const B even01 = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x88);
    const B odd01 = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xDD);
    const B even23 = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x88);
    const B odd23 = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xDD);
    rows[j] = _mm512_shuffle_i32x4(even01, even23, 0x88);
    rows[8 + j] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
    rows[4 + j] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    rows[12 + j] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
  }
}

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kAvx512Kernels = kVectorKernels;
}  // namespace stocha
