// The vector kernels for AVX-512 with AMX-INT8: those of AVX-512, but that products with many
// vectors are products of tiles, of 16 rows of weights with 16 vectors.
#include <immintrin.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

#ifndef __clang__  // GCC 12's own header leaves a register undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace {

#include "stocha/kernels/avx512.inc"

constexpr int64_t LeastPanelVectors(bool) { return 8; }  // from which on tiles pay: half of one
constexpr bool kHasTiles = true;
// A Xeon with AMX reads all rows 1.1 to 1.3 times as fast where they are fetched.
constexpr bool ForeseesRows(bool, int64_t) { return false; }
constexpr int64_t kFetchAhead = 4096;

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/packed_amx.inc"
#include "stocha/kernels/packed_amx_bf16.inc"
#include "stocha/kernels/packed_panel.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kAmxKernels = [] {
  KernelTable table = kVectorKernels;
  table.tiles = &kTileKernels;
  return table;
}();
}  // namespace stocha
