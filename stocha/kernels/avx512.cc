// The vector kernels for AVX-512 (F, BW, VL, DQ, VNNI).
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

#ifndef __clang__  // GCC 12's own header leaves a register undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace {

#include "stocha/kernels/avx512.inc"

constexpr int64_t LeastPanelVectors(bool) { return 13; }  // from which on transposing rows pays
constexpr bool kHasTiles = false;
// A Zen 5 reads rows of 8 bits at half of its memory's speed if they are short and not fetched.
constexpr bool ForeseesRows(bool wide, int64_t bytes) { return !wide || bytes >= 2048; }
constexpr int64_t kFetchAhead = 8192;

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/packed_panel.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kAvx512Kernels = kVectorKernels;
}  // namespace stocha
