// Operands for the tests of the gated activation: one call with memory of its own.
#ifndef STOCHA_KERNELS_GATED_ACTIVATION_TESTING_H_
#define STOCHA_KERNELS_GATED_ACTIVATION_TESTING_H_

#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/kernels/gated_activation.h"

namespace stocha {

inline float ToFloat(float value) { return value; }
inline float ToFloat(uint16_t bits) { return BF16ToF32(bits); }

template <typename T>
T FromFloat(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return F32ToBF16(value);
  }
}

// Rows are padded, every tensor differently, but the last row ends where its memory does, so that
// AddressSanitizer sees a step too far.
template <typename T>
struct GatedActivationCase {
  static constexpr float kUntouched = 12345;  // what outputs hold before the call

  Activation activation;
  CoinStream stream;
  uint32_t first_row = 0;
  float l1_scale = 0;
  int64_t rows;
  int64_t neurons;
  std::vector<T> gate, up, grad_hidden;       // inputs; row strides as in Args
  std::vector<T> hidden, grad_gate, grad_up;  // outputs

  GatedActivationCase(const Activation& act, int64_t num_rows, int64_t num_neurons)
      : activation(act),
        rows(num_rows),
        neurons(num_neurons),
        gate(Size(3)),
        up(Size(5)),
        grad_hidden(Size(1)),
        hidden(Size(1), FromFloat<T>(kUntouched)),
        grad_gate(Size(2), FromFloat<T>(kUntouched)),
        grad_up(Size(2), FromFloat<T>(kUntouched)) {}

  GatedActivationArgs<T> Args() {
    return {.activation = activation,
            .stream = stream,
            .first_row = first_row,
            .rows = rows,
            .neurons = neurons,
            .gate = gate.data(),
            .up = up.data(),
            .gate_stride = neurons + 3,
            .up_stride = neurons + 5,
            .hidden = hidden.data(),
            .grad_hidden = grad_hidden.data(),
            .grad_gate = grad_gate.data(),
            .grad_up = grad_up.data(),
            .hidden_stride = neurons + 1,
            .grad_stride = neurons + 2,
            .l1_scale = l1_scale};
  }

  // Normal deviates for every input.
  void FillRandomly(uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 2);
    for (std::vector<T>* input : {&gate, &up, &grad_hidden}) {
      for (T& value : *input) value = FromFloat<T>(normal(random));
    }
  }

  // hidden is then what the coins made of SiLU(-1): 0, or not.
  void FillForCoins() {
    gate.assign(gate.size(), FromFloat<T>(-1));
    up.assign(up.size(), FromFloat<T>(1));
  }

  GatedActivationStats RunForward(Isa isa) {
    GatedActivationStats stats;
    GatedActivationForward(isa, Args(), &stats);
    return stats;
  }
  GatedActivationStats Run(Isa isa) {
    GatedActivationBackward(isa, Args());
    return RunForward(isa);
  }

  float Gate(int64_t row, int64_t neuron) const {
    return ToFloat(gate[row * (neurons + 3) + neuron]);
  }
  float Up(int64_t row, int64_t neuron) const { return ToFloat(up[row * (neurons + 5) + neuron]); }
  T Hidden(int64_t row, int64_t neuron) const { return hidden[row * (neurons + 1) + neuron]; }
  T GradGate(int64_t row, int64_t neuron) const { return grad_gate[row * (neurons + 2) + neuron]; }
  T GradUp(int64_t row, int64_t neuron) const { return grad_up[row * (neurons + 2) + neuron]; }
  bool Fired(int64_t row, int64_t neuron) const { return ToFloat(Hidden(row, neuron)) != 0; }

 private:
  size_t Size(int64_t padding) const {
    return static_cast<size_t>((rows - 1) * (neurons + padding) + neurons);
  }
};

}  // namespace stocha

#endif  // STOCHA_KERNELS_GATED_ACTIVATION_TESTING_H_
