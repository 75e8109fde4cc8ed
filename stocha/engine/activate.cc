#include "stocha/engine/activate.h"

namespace stocha {
namespace {

// gate[i] = map(gate[i], i).
template <typename Map>
void ForEach(std::span<float> gate, const Map& map) {
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = map(gate[i], i);
}

}  // namespace

void ActivateBlock(const KernelTable& kernels, const Activation& activation,
                   const CoinStream& stream, uint32_t row, uint32_t first_neuron,
                   std::span<float> gate, std::span<float> scratch) {
  // `x < 0 ? 0 : x` and not a maximum, so that NaN comes through.
  if (activation.kind == ActivationKind::kRelu) {
    return ForEach(gate, [](float x, size_t) { return x < 0 ? 0 : x; });
  }
  if (activation.kind == ActivationKind::kReluSquared) {
    return ForEach(gate, [](float x, size_t) { return x < 0 ? 0 : x * x; });
  }
  const auto count = static_cast<int64_t>(gate.size());
  if (activation.kind == ActivationKind::kSilu) {
    return kernels.silu(gate.data(), count, gate.data());
  }
  const float* silu = scratch.data();
  kernels.silu(gate.data(), count, scratch.data());
  const auto share = static_cast<float>(activation.positive_silu());
  const auto positive = [=](float x, size_t i) {
    if (share == 0 || share == 1) return share == 0 ? x : silu[i];  // infinity times 0 is none
    return share * silu[i] + (1 - share) * x;
  };
  if (activation.kind == ActivationKind::kExpected) {
    const auto p = static_cast<float>(activation.p());
    return ForEach(gate, [=](float x, size_t i) { return x < 0 ? p * silu[i] : positive(x, i); });
  }
  ForEach(gate, [&](float x, size_t i) {
    if (x < 0) {
      const auto neuron = static_cast<uint32_t>(first_neuron + i);
      return Coin(activation, stream, row, neuron) ? silu[i] : 0;
    }
    return positive(x, i);
  });
}

}  // namespace stocha
