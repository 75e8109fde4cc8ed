// h = act(gate) * up as one autograd op: nothing is kept for the backward pass but gate and up, and
// the coins are recomputed there. The kernel is kernels/gated_activation.h, run on torch's threads.
#ifndef STOCHA_TRAIN_GATED_ACTIVATION_OP_H_
#define STOCHA_TRAIN_GATED_ACTIVATION_OP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "stocha/kernels/gated_activation.h"
#include "stocha/model/activation.h"

namespace stocha {

struct GatedActivationCall {
  Activation activation;
  CoinStream stream;
  uint32_t first_row = 0;  // row, in the global batch, of the first token
  // d(loss) of the L1 penalty per unit of |hidden|: coefficient / number of hidden values averaged
  // over, times the micro batch's share of the step. 0: none.
  double l1_scale = 0;
  GatedActivationStats* stats = nullptr;  // summed into by the forward pass; may be null
};

// gate_up: [tokens, 2 * intermediate_size], gate and then up in each row; float32, bfloat16 or
// float64 (float64 runs the scalar specification and exists for finite differences). Returns
// [tokens, intermediate_size] of the same type. Throws c10::Error on other shapes.
at::Tensor GatedActivation(const at::Tensor& gate_up, const GatedActivationCall& call);

}  // namespace stocha

#endif  // STOCHA_TRAIN_GATED_ACTIVATION_OP_H_
