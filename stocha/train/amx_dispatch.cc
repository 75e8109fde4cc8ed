// Which of the kernels by AMX-BF16 this machine runs.
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "stocha/kernels/isa.h"
#include "stocha/train/attention_kernel.h"
#include "stocha/train/row_kernels.h"
#include "stocha/train/weight_gradient_kernel.h"

namespace stocha {
namespace {

#if defined(__x86_64__)
// Isa::kAmx says that tiles may be used, and AMX-INT8.
bool FindAmxBf16() {
  constexpr uint32_t kAmxBf16 = 1U << 22;  // CPUID 7.0, EDX
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & kAmxBf16) == 0) return false;
  return HasAvx512Bf16() && SelectedIsa() == Isa::kAmx;
}

bool HasAmxBf16() {
  static const bool has = FindAmxBf16();
  return has;
}
#endif

}  // namespace

const AttentionKernel* SelectedAttentionKernel([[maybe_unused]] int64_t head_dim) {
#if defined(__x86_64__)
  if (HasAmxBf16() && head_dim % 32 == 0) return &kAttentionKernelAmx;
#endif
  return nullptr;
}

const WeightGradientKernel* SelectedWeightGradientKernel() {
#if defined(__x86_64__)
  if (HasAmxBf16()) return &kWeightGradientKernelAmx;
#endif
  return nullptr;
}

}  // namespace stocha
