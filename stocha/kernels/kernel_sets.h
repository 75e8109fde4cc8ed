// The sets that dispatch.cc chooses from; each is defined in the file of its ISA.
#ifndef STOCHA_KERNELS_KERNEL_SETS_H_
#define STOCHA_KERNELS_KERNEL_SETS_H_

#include "stocha/kernels/kernels.h"

namespace stocha {

extern const KernelTable kScalarKernels;
// Parts of it (scalar_packed.cc).
extern const PackedKernels kScalarQ8_0;
extern const PackedKernels kScalarQ4_0;
extern const PackedKernels kScalarQ4_K;
extern const PackedDot kScalarQ6_K;
extern const PlaneKernels kScalarPlanes;
void ScalarQuantize(const float* x, int64_t n, const QuantizedVector& out);

#if defined(__x86_64__)
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvxVnniKernels;
extern const KernelTable kAvx512Kernels;
extern const KernelTable kAmxKernels;
#elif defined(__aarch64__)
extern const KernelTable kNeonKernels;
#endif

}  // namespace stocha

#endif  // STOCHA_KERNELS_KERNEL_SETS_H_
