// The vector kernels for AVX2 and FMA: V is a pair of registers.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

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

// --- What packed.inc works with.

constexpr int kTileVectors = 2;  // sums kept in registers, of vectors that share 16 rows
constexpr int kAxpyVectors = 2;

struct B {
  __m256i low;
  __m256i high;
};
using I = B;

inline __m128i Load16(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline __m256i Load32(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

inline B LoadBytes(const uint8_t* p) { return {Load32(p), Load32(p + 32)}; }
// `parts` < 4 times 16 bytes, then zeros.
inline B LoadBytesFirst(const uint8_t* p, int64_t parts) {
  const __m256i zero = _mm256_setzero_si256();
  const auto first = [p](int64_t at) {
    return _mm256_inserti128_si256(_mm256_setzero_si256(), Load16(p + at), 0);
  };
  if (parts <= 0) return {zero, zero};
  if (parts == 1) return {first(0), zero};
  if (parts == 2) return {Load32(p), zero};
  return {Load32(p), first(32)};
}
inline void StoreBytes(uint8_t* p, B x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), x.high);
}
inline B AsBytes(V x) { return {_mm256_castps_si256(x.low), _mm256_castps_si256(x.high)}; }
inline B BroadcastDword(const uint8_t* p) {
  int32_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
}
inline __m256i LowNibbles(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi8(0xF)); }
inline __m256i HighNibbles(__m256i x) { return LowNibbles(_mm256_srli_epi16(x, 4)); }
inline B LowNibbles(B x) { return {LowNibbles(x.low), LowNibbles(x.high)}; }
inline B HighNibbles(B x) { return {HighNibbles(x.low), HighNibbles(x.high)}; }
inline __m256i Join(__m256i high, __m256i low) {
  return _mm256_or_si256(_mm256_slli_epi16(high, 4), low);
}
// Bytes of a nibble of `high` and one of `low`, the low ones of both or the high ones.
inline B JoinLowNibbles(B high, B low) {
  return {Join(LowNibbles(high.low), LowNibbles(low.low)),
          Join(LowNibbles(high.high), LowNibbles(low.high))};
}
inline B JoinHighNibbles(B high, B low) {
  return {Join(HighNibbles(high.low), HighNibbles(low.low)),
          Join(HighNibbles(high.high), HighNibbles(low.high))};
}

inline I ZeroInts() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline I LoadInts(const int32_t* p) { return {Load32(p), Load32(p + 8)}; }
inline I BroadcastInt(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline I AddInts(I a, I b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline I SubInts(I a, I b) {
  return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
inline I MulInts(I a, I b) {
  return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}
inline I MulInts(I a, int32_t b) { return MulInts(a, BroadcastInt(b)); }
template <int kBits>
inline I ShiftLeft(I x) {
  return {_mm256_slli_epi32(x.low, kBits), _mm256_slli_epi32(x.high, kBits)};
}
inline int32_t SumInts(I x) {
  const __m256i sums8 = _mm256_add_epi32(x.low, x.high);
  const __m128i sums4 =
      _mm_add_epi32(_mm256_castsi256_si128(sums8), _mm256_extracti128_si256(sums8, 1));
  const __m128i sums2 = _mm_add_epi32(sums4, _mm_unpackhi_epi64(sums4, sums4));
  return _mm_cvtsi128_si32(sums2) + _mm_extract_epi32(sums2, 1);
}
inline V ToFloats(I x) { return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }
inline I RoundToInts(V x) { return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)}; }
inline float MinLane(V x) {
  const __m256 least8 = _mm256_min_ps(x.low, x.high);
  const __m128 least4 =
      _mm_min_ps(_mm256_castps256_ps128(least8), _mm256_extractf128_ps(least8, 1));
  const __m128 least2 = _mm_min_ps(least4, _mm_movehl_ps(least4, least4));
  return _mm_cvtss_f32(_mm_min_ss(least2, _mm_movehdup_ps(least2)));
}
inline V NegativeFma(V a, V b, V c) {
  return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

inline V LoadF16(const uint8_t* p) {
  return {_mm256_cvtph_ps(Load16(p)), _mm256_cvtph_ps(Load16(p + 16))};
}
inline V LoadF16First(const uint8_t* p, int64_t count) {
  uint8_t padded[32] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count) * 2);
  return LoadF16(padded);
}
inline __m256 SignedFloats(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
inline __m256 UnsignedFloats(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
inline V SignedBytes(const uint8_t* p) {
  const __m128i bytes = Load16(p);
  return {SignedFloats(bytes), SignedFloats(_mm_unpackhi_epi64(bytes, bytes))};
}
inline V UnsignedFloats16(__m128i bytes) {
  return {UnsignedFloats(bytes), UnsignedFloats(_mm_unpackhi_epi64(bytes, bytes))};
}
inline V UnsignedBytes(const uint8_t* p) { return UnsignedFloats16(Load16(p)); }
inline V UnsignedBytesFirst(const uint8_t* p, int64_t count) {
  uint8_t padded[16] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count));
  return UnsignedBytes(padded);
}
// Two f16 numbers, 8 lanes each; only the first for count <= 8.
inline V Spread8(const uint8_t* p, int64_t count) {
  uint16_t bits[2] = {};
  __builtin_memcpy(bits, p, count > 8 ? 4 : 2);
  return {_mm256_set1_ps(_cvtsh_ss(bits[0])), _mm256_set1_ps(_cvtsh_ss(bits[1]))};
}
// The 32 values of 16 bytes of nibbles, less kOffset.
template <int kOffset>
inline void NibblesAsFloats(const uint8_t* p, V* low, V* high) {
  const __m128i bytes = Load16(p);
  const __m128i mask = _mm_set1_epi8(0xF);
  const V offset = Broadcast(kOffset);
  *low = Sub(UnsignedFloats16(_mm_and_si128(bytes, mask)), offset);
  *high = Sub(UnsignedFloats16(_mm_and_si128(_mm_srli_epi16(bytes, 4), mask)), offset);
}
// The low byte of each lane; values from -128 to 127.
inline void StoreSignedBytes(int8_t* p, I x) {
  const __m256i words = _mm256_packs_epi32(x.low, x.high);  // quarters 0 2 1 3
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

// acc[lane] += sum over 4 bytes of w times x; a wide w is unsigned, its offset of 128 is taken off
// (so that no product of two bytes leaves 16 bits).
template <bool kWide>
inline __m256i DotBytes(__m256i acc, __m256i w, __m256i x) {
  if constexpr (kWide) {
    const __m256i centered = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    w = _mm256_abs_epi8(centered);
    x = _mm256_sign_epi8(x, centered);
  }
  const __m256i pairs = _mm256_maddubs_epi16(w, x);
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
template <bool kWide>
inline I DotBytes(I acc, B w, B x) {
  return {DotBytes<kWide>(acc.low, w.low, x.low), DotBytes<kWide>(acc.high, w.high, x.high)};
}
inline I CenterWide(I dots, I) { return dots; }

// Four lanes a block, chunk by chunk, into one lane a block.
inline I SumChunks(const I* chunks) {
  // Of two chunks: lanes 0 2 4 6 of their 8 blocks, then 1 3 5 7.
  const auto blocks8 = [](const I& a, const I& b) {
    const __m256i sums =
        _mm256_hadd_epi32(_mm256_hadd_epi32(a.low, a.high), _mm256_hadd_epi32(b.low, b.high));
    return _mm256_permutevar8x32_epi32(sums, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
  };
  return {blocks8(chunks[0], chunks[1]), blocks8(chunks[2], chunks[3])};
}

// 8 x 8 dwords.
inline void Transpose8(__m256i* rows) {
  __m256i t[8];
  for (int i = 0; i < 8; i += 4) {
    const __m256i a = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    const __m256i b = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
    const __m256i c = _mm256_unpacklo_epi32(rows[i + 2], rows[i + 3]);
    const __m256i d = _mm256_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    t[i] = _mm256_unpacklo_epi64(a, c);
    t[i + 1] = _mm256_unpackhi_epi64(a, c);
    t[i + 2] = _mm256_unpacklo_epi64(b, d);
    t[i + 3] = _mm256_unpackhi_epi64(b, d);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x20);
    rows[4 + i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x31);
  }
}
// 16 x 16 dwords.
inline void Transpose(B* rows) {
  __m256i quarters[4][8];
  for (int i = 0; i < 8; ++i) {
    quarters[0][i] = rows[i].low;
    quarters[1][i] = rows[i].high;
    quarters[2][i] = rows[8 + i].low;
    quarters[3][i] = rows[8 + i].high;
  }
  for (auto& quarter : quarters) Transpose8(quarter);
  for (int i = 0; i < 8; ++i) {
    rows[i] = {quarters[0][i], quarters[2][i]};
    rows[8 + i] = {quarters[1][i], quarters[3][i]};
  }
}

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kAvx2Kernels = kVectorKernels;
}  // namespace stocha
