#include "stocha/train/row_kernels.h"

#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

const RowKernels& RowKernelsOf(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2 || isa == Isa::kAvxVnni) return kRowKernelsAvx2;
  if (isa == Isa::kAvx512 || isa == Isa::kAmx) {
    return HasAvx512Bf16() ? kRowKernelsAvx512Bf16 : kRowKernelsAvx512;
  }
#endif
  static_cast<void>(isa);
  return kRowKernelsPortable;
}

}  // namespace

#if defined(__x86_64__)
bool HasAvx512Bf16() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
}
#endif

const RowKernels& SelectedRowKernels() {
  static const RowKernels& kernels = RowKernelsOf(SelectedIsa());
  return kernels;
}

}  // namespace stocha
