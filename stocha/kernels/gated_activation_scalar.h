// The specification of the gated activation, element by element in double. Internal to kernels.
#ifndef STOCHA_KERNELS_GATED_ACTIVATION_SCALAR_H_
#define STOCHA_KERNELS_GATED_ACTIVATION_SCALAR_H_

#include "stocha/kernels/gated_activation.h"

namespace stocha {

template <typename T>
void GatedActivationForwardScalar(const GatedActivationArgs<T>& args, GatedActivationStats* stats);
template <typename T>
void GatedActivationBackwardScalar(const GatedActivationArgs<T>& args);

}  // namespace stocha

#endif  // STOCHA_KERNELS_GATED_ACTIVATION_SCALAR_H_
