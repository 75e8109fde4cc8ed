// at::linear as an autograd op of its own, for the sake of its weight's gradient.
#ifndef STOCHA_TRAIN_LINEAR_OP_H_
#define STOCHA_TRAIN_LINEAR_OP_H_

#include <ATen/core/Tensor.h>

namespace stocha {

// x weight^T + bias, [tokens, outputs]. x: [tokens, inputs], weight: [outputs, inputs], bias:
// [outputs] or undefined.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

}  // namespace stocha

#endif  // STOCHA_TRAIN_LINEAR_OP_H_
