// act(gate) for a block of neurons of one token.
#ifndef STOCHA_ENGINE_ACTIVATE_H_
#define STOCHA_ENGINE_ACTIVATE_H_

#include <cstdint>
#include <span>

#include "stocha/kernels/kernels.h"
#include "stocha/model/activation.h"

namespace stocha {

// gate[i], of neuron first_neuron + i, becomes act(gate[i]): Activate() of model/activation.h in
// float, with Coin(stream, row, neuron). Exactly 0 where the neuron does not fire; NaN stays NaN.
// `scratch` has the size of `gate`.
void ActivateBlock(const KernelTable& kernels, const Activation& activation,
                   const CoinStream& stream, uint32_t row, uint32_t first_neuron,
                   std::span<float> gate, std::span<float> scratch);

}  // namespace stocha

#endif  // STOCHA_ENGINE_ACTIVATE_H_
