// Matrix products of the trainer: torch's own, but where the processor or the layout makes another
// way faster.
#ifndef STOCHA_TRAIN_MATRIX_PRODUCT_H_
#define STOCHA_TRAIN_MATRIX_PRODUCT_H_

#include <ATen/core/Tensor.h>

namespace stocha {

// Whether bfloat16 `x` is better multiplied as float32, in which it is exact: on an x86 processor
// (or by a STOCHA_ISA) without AVX512-BF16 or AMX, where torch's bfloat16 products are emulated,
// at a third of the speed of its float32 ones. Sums are in float32 either way.
bool MultipliesAsFloat(const at::Tensor& x);

// a b, [m, k] times [k, n] of one type, float32 or bfloat16, to which sums in float32 are rounded.
// Either may be transposed.
at::Tensor MatrixProduct(const at::Tensor& a, const at::Tensor& b);

// x weight^T + bias: x is [tokens, inputs], weight [outputs, inputs]; the bias [outputs], of their
// type, or undefined.
at::Tensor LinearProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace stocha

#endif  // STOCHA_TRAIN_MATRIX_PRODUCT_H_
