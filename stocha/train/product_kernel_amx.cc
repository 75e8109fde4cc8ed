// The product kernel by AMX-BF16. No STL, as in attention_kernel_amx.cc.
#include <immintrin.h>

#include "stocha/train/product_kernel.h"

namespace stocha {
namespace {

#include "stocha/train/amx_blocks.inc"
// Over those:
#include "stocha/train/product_kernel.inc"

}  // namespace

const ProductKernel kProductKernelAmx = kKernel;

}  // namespace stocha
