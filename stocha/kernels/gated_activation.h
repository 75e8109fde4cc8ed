// h = act(gate) * up for a block of tokens, forward and backward: the training-time kernel.
// Coins are recomputed from (seed, layer, step, row, neuron) wherever they are needed; see
// model/activation.h for the formula and the coin's definition.
#ifndef STOCHA_KERNELS_GATED_ACTIVATION_H_
#define STOCHA_KERNELS_GATED_ACTIVATION_H_

#include <cstdint>

#include "stocha/kernels/isa.h"
#include "stocha/model/activation.h"

namespace stocha {

// One call's operands. Element type T is float, uint16_t holding bfloat16 (computed in float,
// rounded to nearest even once, on the store), or double (kScalar only; for finite differences).
// Rows are tokens; strides are in elements. Outputs may not overlap inputs.
template <typename T>
struct GatedActivationArgs {
  Activation activation;
  CoinStream stream;
  uint32_t first_row = 0;  // row of the coin of the first token
  int64_t rows = 0;
  int64_t neurons = 0;
  const T* gate = nullptr;  // [rows, neurons], row stride gate_stride
  const T* up = nullptr;    // [rows, neurons], row stride up_stride
  int64_t gate_stride = 0;
  int64_t up_stride = 0;
  // Forward.
  T* hidden = nullptr;  // [rows, neurons], row stride hidden_stride
  // Backward: reads gate, up and grad_hidden.
  const T* grad_hidden = nullptr;  // [rows, neurons], row stride hidden_stride
  T* grad_gate = nullptr;          // [rows, neurons], row stride grad_stride
  T* grad_up = nullptr;            // likewise
  int64_t hidden_stride = 0;
  int64_t grad_stride = 0;
  // L1 penalty: backward adds l1_scale * sign(hidden) to grad_hidden. 0: none.
  float l1_scale = 0;
};

// What the forward pass saw, for metrics; summed into by each call when not null.
struct GatedActivationStats {
  int64_t active = 0;    // elements with hidden != 0
  double hidden_l1 = 0;  // sum of |hidden|
};

// Both run on the calling thread alone and are pure, so any split of the rows gives the same bits.
// `isa` must be available.
//
// kScalar is the specification: model/activation.h in double, rounded once. The others agree with
// it bit for bit in the coins and in what ReLU or a coin makes zero; elsewhere, before the store's
// rounding, the error is at most 4 float32 epsilons (2^-21) of the largest of |result|, the
// smallest normal float and, for grad_gate, |gradient of hidden * up|. Below -87 they take SiLU and
// its slope to be 0.
template <typename T>
void GatedActivationForward(Isa isa, const GatedActivationArgs<T>& args,
                            GatedActivationStats* stats);
template <typename T>
void GatedActivationBackward(Isa isa, const GatedActivationArgs<T>& args);

}  // namespace stocha

#endif  // STOCHA_KERNELS_GATED_ACTIVATION_H_
