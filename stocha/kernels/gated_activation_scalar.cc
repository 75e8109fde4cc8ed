#include "stocha/kernels/gated_activation_scalar.h"

#include <cmath>
#include <type_traits>

#include "stocha/base/dtype.h"

namespace stocha {
namespace {

// What results are rounded to before the store.
template <typename T>
using ComputeType = std::conditional_t<std::is_same_v<T, double>, double, float>;

double Load(double value) { return value; }
double Load(float value) { return value; }
double Load(uint16_t bits) { return BF16ToF32(bits); }

void Store(double value, double* to) { *to = value; }
void Store(double value, float* to) { *to = static_cast<float>(value); }
void Store(double value, uint16_t* to) { *to = F32ToBF16(static_cast<float>(value)); }

double Sign(double value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

template <typename T>
bool DrawCoin(const GatedActivationArgs<T>& args, int64_t row, int64_t neuron) {
  return args.activation.kind == ActivationKind::kStochastic &&
         Coin(args.activation, args.stream, args.first_row + static_cast<uint32_t>(row),
              static_cast<uint32_t>(neuron));
}

}  // namespace

template <typename T>
void GatedActivationForwardScalar(const GatedActivationArgs<T>& args, GatedActivationStats* stats) {
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t neuron = 0; neuron < args.neurons; ++neuron) {
      const double x = Load(args.gate[row * args.gate_stride + neuron]);
      const double up = Load(args.up[row * args.up_stride + neuron]);
      const auto hidden = static_cast<ComputeType<T>>(
          Activate(args.activation, x, DrawCoin(args, row, neuron)) * up);
      Store(hidden, &args.hidden[row * args.hidden_stride + neuron]);
      if (stats != nullptr) {
        stats->active += hidden != 0;
        stats->hidden_l1 += std::abs(hidden);
      }
    }
  }
}

template <typename T>
void GatedActivationBackwardScalar(const GatedActivationArgs<T>& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t neuron = 0; neuron < args.neurons; ++neuron) {
      const double x = Load(args.gate[row * args.gate_stride + neuron]);
      const double up = Load(args.up[row * args.up_stride + neuron]);
      const bool coin = DrawCoin(args, row, neuron);
      const double value = Activate(args.activation, x, coin);
      const double grad_hidden = Load(args.grad_hidden[row * args.hidden_stride + neuron]) +
                                 args.l1_scale * Sign(value * up);
      const int64_t at = row * args.grad_stride + neuron;
      Store(grad_hidden * up * ActivateGrad(args.activation, x, coin), &args.grad_gate[at]);
      Store(grad_hidden * value, &args.grad_up[at]);
    }
  }
}

#define STOCHA_INSTANTIATE(T)                                               \
  template void GatedActivationForwardScalar(const GatedActivationArgs<T>&, \
                                             GatedActivationStats*);        \
  template void GatedActivationBackwardScalar(const GatedActivationArgs<T>&)
STOCHA_INSTANTIATE(float);
STOCHA_INSTANTIATE(uint16_t);
STOCHA_INSTANTIATE(double);
#undef STOCHA_INSTANTIATE

}  // namespace stocha
