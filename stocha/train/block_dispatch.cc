// Which of the kernels over blocks this machine runs.

#include "stocha/kernels/isa.h"
#include "stocha/train/attention_kernel.h"
#include "stocha/train/product_kernel.h"
#include "stocha/train/row_kernels.h"

namespace stocha {

#if defined(__x86_64__)
namespace {

// Beyond it, the packed matrix comes from memory again for every few rows.
constexpr int64_t kMostPackedBytes = int64_t{32} << 20;

}  // namespace

const AttentionKernel* SelectedAttentionKernel(int64_t head_dim) {
  if (head_dim % 32 != 0) return nullptr;
  if (SelectedIsa() == Isa::kAmx) return &kAttentionKernelAmx;
  if (SelectedIsa() != Isa::kAvx512) return nullptr;
  return HasAvx512Bf16() ? &kAttentionKernelAvx512Bf16 : &kAttentionKernelAvx512;
}

// torch's products by AMX are as good where neither side is to be turned, those by AVX512-BF16
// wherever they have been measured.
const ProductKernel* SelectedProductKernel(const ProductCall& call) {
  const Isa isa = SelectedIsa();
  if (isa == Isa::kAmx) {
    return call.left.turned && !call.right.turned ? &kProductKernelAmx : nullptr;
  }
  if (isa == Isa::kScalar || (isa == Isa::kAvx512 && HasAvx512Bf16())) return nullptr;
  const ProductKernel* kernel = isa == Isa::kAvx512 ? &kProductKernelAvx512 : &kProductKernelAvx2;
  return kernel->packed_bytes(call) > kMostPackedBytes ? nullptr : kernel;
}
#else
const AttentionKernel* SelectedAttentionKernel(int64_t) { return nullptr; }
const ProductKernel* SelectedProductKernel(const ProductCall&) { return nullptr; }
#endif

}  // namespace stocha
