// Which of the kernels by AMX-BF16 this machine runs.

#include "stocha/kernels/isa.h"
#include "stocha/train/attention_kernel.h"
#include "stocha/train/weight_gradient_kernel.h"

namespace stocha {

const AttentionKernel* SelectedAttentionKernel([[maybe_unused]] int64_t head_dim) {
#if defined(__x86_64__)
  if (SelectedIsa() == Isa::kAmx && head_dim % 32 == 0) return &kAttentionKernelAmx;
#endif
  return nullptr;
}

const WeightGradientKernel* SelectedWeightGradientKernel() {
#if defined(__x86_64__)
  if (SelectedIsa() == Isa::kAmx) return &kWeightGradientKernelAmx;
#endif
  return nullptr;
}

}  // namespace stocha
