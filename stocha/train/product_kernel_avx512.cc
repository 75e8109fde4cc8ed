// The product kernel by AVX-512 in float32. No STL, as in attention_kernel_avx512.cc.
#include <immintrin.h>

#include "stocha/train/product_kernel.h"

namespace stocha {
namespace {

#include "stocha/train/avx512_blocks.inc"
// Over those:
#include "stocha/train/product_kernel.inc"

}  // namespace

const ProductKernel kProductKernelAvx512 = kKernel;

}  // namespace stocha
