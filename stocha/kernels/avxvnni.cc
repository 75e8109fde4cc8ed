// The vector kernels for AVX-VNNI: those of AVX2, but for one instruction.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

namespace {

#include "stocha/kernels/avx2.inc"

constexpr bool kSumsWords = false;
constexpr bool ForeseesRows(bool, int64_t) { return true; }
constexpr int64_t kFetchAhead = 4096;
constexpr int kTileVectors = 2;  // sums kept in registers, of vectors that share 16 rows
constexpr int64_t LeastPanelVectors(bool) { return 13; }  // from which on transposing rows pays

// acc[lane] += sum over 4 bytes of w (unsigned) times x (signed).
template <bool kWide>
inline I DotBytes(I acc, B w, B x) {
  return {_mm256_dpbusd_avx_epi32(acc.low, w.low, x.low),
          _mm256_dpbusd_avx_epi32(acc.high, w.high, x.high)};
}
// Sums of q x out of those of (q + 128) x.
inline I CenterWide(I dots, I sum) { return SubInts(dots, ShiftLeft<7>(sum)); }

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/packed_panel.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kAvxVnniKernels = kVectorKernels;
}  // namespace stocha
