// The RMS norm, with the addition to the residual stream before it, as one autograd op: one pass
// forward, one backward, and nothing kept but the sum and one number a row.
#ifndef STOCHA_TRAIN_RMS_NORM_OP_H_
#define STOCHA_TRAIN_RMS_NORM_OP_H_

#include <ATen/core/Tensor.h>

namespace stocha {

// x: [..., size], float32 or bfloat16; weight: [size], float32. Computed in float32; returns the
// shape of x and `type`, which is x's or bfloat16.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                   at::ScalarType type);

// Of the residual stream.
struct NormedSum {
  at::Tensor sum;     // [tokens, size], float32: x + delta
  at::Tensor normed;  // [tokens, size], the type of delta: RmsNorm(sum)
};

// x: [tokens, size], float32; delta: likewise, float32 or bfloat16.
NormedSum AddRmsNorm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                     double epsilon);

}  // namespace stocha

#endif  // STOCHA_TRAIN_RMS_NORM_OP_H_
