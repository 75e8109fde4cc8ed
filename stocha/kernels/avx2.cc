// The vector kernels for AVX2 and FMA.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

namespace {

#include "stocha/kernels/avx2.inc"

constexpr bool kSumsWords = true;
// A Zen 3 decodes faster if rows of 4 bits are fetched, and slower if rows of 8 bits are.
constexpr bool ForeseesRows(bool wide, int64_t) { return wide; }
constexpr int64_t kFetchAhead = 4096;
constexpr int kTileVectors = 4;  // sums kept in registers, of vectors that share 16 rows
// From which on transposing rows pays.
constexpr int64_t LeastPanelVectors(bool wide) { return wide ? 6 : 4; }

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

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/packed_panel.inc"
#include "stocha/kernels/packed_words.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kAvx2Kernels = kVectorKernels;
}  // namespace stocha
