// The row kernels for AVX-512 with BF16, whose conversion takes the place of nine instructions. No
// STL: an inline function of it compiled here could be the copy that the linker keeps, and would
// run on machines without the instructions.
#include <immintrin.h>

#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

#include "stocha/train/row_lanes.inc"
// Over those:
#include "stocha/train/row_kernels.inc"

}  // namespace

const RowKernels kRowKernelsAvx512Bf16 = kKernels;

}  // namespace stocha
