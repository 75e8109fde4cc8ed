// The gradient of a weight from what went into its product and the gradient of what came out.
#ifndef STOCHA_TRAIN_WEIGHT_GRADIENT_H_
#define STOCHA_TRAIN_WEIGHT_GRADIENT_H_

#include <ATen/core/Tensor.h>

namespace stocha {

// grad^T input, [outputs, inputs]. grad: [tokens, outputs], input: [tokens, inputs], both of one
// type, float32 or bfloat16.
at::Tensor WeightGradient(const at::Tensor& grad, const at::Tensor& input);

}  // namespace stocha

#endif  // STOCHA_TRAIN_WEIGHT_GRADIENT_H_
