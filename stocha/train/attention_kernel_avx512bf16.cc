// The attention kernel by AVX-512 with BF16. No STL: an inline function of it compiled here could
// be the copy that the linker keeps, and would run on machines without the instructions.
#include <immintrin.h>

#include "stocha/train/attention_kernel.h"

namespace stocha {
namespace {

#include "stocha/train/avx512bf16_blocks.inc"
// Over those:
#include "stocha/train/attention_kernel.inc"

}  // namespace

const AttentionKernel kAttentionKernelAvx512Bf16 = kKernel;

}  // namespace stocha
