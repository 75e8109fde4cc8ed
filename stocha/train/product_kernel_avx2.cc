// The product kernel by AVX2 in float32. No STL, as in attention_kernel_avx512.cc.
#include <immintrin.h>

#include "stocha/train/product_kernel.h"

namespace stocha {
namespace {

#include "stocha/train/avx2_blocks.inc"
// Over those:
#include "stocha/train/product_kernel.inc"

}  // namespace

const ProductKernel kProductKernelAvx2 = kKernel;

}  // namespace stocha
