// The row kernels for AVX2 with FMA. No STL: an inline function of it compiled here could be
// the copy that the linker keeps, and would run on machines without the instructions.
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

#include "stocha/train/row_lanes.inc"
// Over those:
#include "stocha/train/row_kernels.inc"

}  // namespace

const RowKernels kRowKernelsAvx2 = kKernels;

}  // namespace stocha
