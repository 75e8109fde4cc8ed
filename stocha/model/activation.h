// The idea, on one screen: an activation that is drawn at random where ReLU would be flat.
//
//   phi(x) = x >= 0 ? positive(x) : (coin ? SiLU(x) : 0)      coin ~ Bernoulli(p)
//
//   positive(x) = x, SiLU(x) (smooth) or p SiLU(x) + (1 - p) x (blend)
//
// p = 0 is ReLU, but for smooth; p = 1 with smooth or blend is SiLU itself. The coin is an
// argument, so phi is pure. expected:p is the mean over coins, p SiLU(x) for x < 0. Method:
// "Stochastic activations", arXiv 2509.22358; the positive branch is an option here because the
// paper leaves it open.
//
// A coin is 16 bits of Philox4x32-10. Nothing is stored: the backward pass, a resumed run, another
// thread count or another machine recompute the same one.
#ifndef STOCHA_MODEL_ACTIVATION_H_
#define STOCHA_MODEL_ACTIVATION_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "stocha/base/philox.h"

namespace stocha {

enum class ActivationKind : uint8_t {
  kRelu,         // max(x, 0)
  kSilu,         // x sigmoid(x)
  kReluSquared,  // max(x, 0)^2
  kStochastic,   // phi with a coin
  kExpected,     // the mean of phi
};

// What phi is for x >= 0. kStochastic and kExpected only.
enum class PositiveSide : uint8_t {
  kIdentity,
  kSilu,
  kBlend,  // goes from SiLU to the identity as p goes from 1 to 0
};

// What shares one coin.
enum class CoinGranularity : uint8_t {
  kElement,  // nothing: every token and hidden unit draws
  kToken,    // all units of a layer at one token
  kLayer,    // all units and tokens of a layer in one step
};

// A value passed to forward, never state of a model.
struct Activation {
  ActivationKind kind = ActivationKind::kRelu;
  uint32_t p_65536 = 0;  // p in units of 1/65536, 0 .. 65536; kStochastic and kExpected only
  PositiveSide positive = PositiveSide::kIdentity;          // likewise
  CoinGranularity granularity = CoinGranularity::kElement;  // kStochastic only

  friend bool operator==(const Activation&, const Activation&) = default;

  double p() const { return p_65536 / 65536.0; }
  // The share of SiLU in what kStochastic and kExpected are for x >= 0; the rest is the identity.
  double positive_silu() const {
    if (positive == PositiveSide::kBlend) return p();
    return positive == PositiveSide::kSilu ? 1 : 0;
  }
  // True when h is exactly 0 for every x <= 0, i.e. when neurons can be skipped by the gate's sign.
  bool sparse() const {
    return kind == ActivationKind::kRelu || kind == ActivationKind::kReluSquared ||
           ((kind == ActivationKind::kStochastic || kind == ActivationKind::kExpected) &&
            p_65536 == 0);
  }
};

// p rounded to the nearest k / 65536. p must be in [0, 1].
Activation StochasticActivation(double p);

// "relu", "silu", "relu2", "stocha:P", "expected:P", the last two followed by ",smooth" or
// ",blend", stocha also by ",token" or ",layer". Throws Error, with `where` (a flag or a key) at
// its head, on anything else.
Activation ParseActivation(std::string_view text, std::string_view where);
// The inverse of ParseActivation; p in the fewest digits that read back the same.
std::string ToString(const Activation& activation);

// Where a coin is drawn. row: the token's index in the global batch when training, its position
// when generating. step: the optimiser step when training, 0 when generating (the seed is the
// request's).
struct CoinStream {
  uint64_t seed = 0;
  uint32_t layer = 0;
  uint32_t step = 0;
};

// Coin of (row, neuron): lane = neuron mod 8 of the block with counter (neuron / 8, row, layer,
// step), lane j being the low (j even) or high half of word j / 2. True with probability p.
inline bool Coin(const Activation& activation, const CoinStream& stream, uint32_t row,
                 uint32_t neuron) {
  if (activation.granularity != CoinGranularity::kElement) neuron = 0;
  if (activation.granularity == CoinGranularity::kLayer) row = 0;
  const PhiloxBlock block = Philox4x32(stream.seed, {neuron / 8, row, stream.layer, stream.step});
  const uint32_t lane = neuron % 8;
  const uint32_t bits = (block[lane / 2] >> (16 * (lane % 2))) & 0xFFFF;
  return bits < activation.p_65536;
}

inline double Silu(double x) { return x / (1 + std::exp(-x)); }
inline double SiluGrad(double x) {
  const double s = 1 / (1 + std::exp(-x));
  return s * (1 + x * (1 - s));
}

// The specification, in double; `coin` is ignored unless kind is kStochastic. NaN gives NaN.
double Activate(const Activation& activation, double x, bool coin);
// Its derivative with respect to x; at the kink x = 0 it is 0, as torch's ReLU has it, so that p =
// 0 equals ReLU in the gradient too.
double ActivateGrad(const Activation& activation, double x, bool coin);

}  // namespace stocha

#endif  // STOCHA_MODEL_ACTIVATION_H_
