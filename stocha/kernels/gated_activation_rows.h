// What gated_activation.cc asks of an instruction set: one row, the kinds of activation already
// reduced to two branches. Internal to kernels; plain data, no STL: ISA files include it.
#ifndef STOCHA_KERNELS_GATED_ACTIVATION_ROWS_H_
#define STOCHA_KERNELS_GATED_ACTIVATION_ROWS_H_

#include <cstdint>

namespace stocha {

enum class PositiveBranch : uint8_t { kIdentity, kSilu, kBlend, kSquare };   // x >= 0, and NaN
enum class NegativeBranch : uint8_t { kZero, kScaledSilu, kCoinTimesSilu };  // x < 0

// Philox4x32-10 (base/philox.h) as vector code wants it: constants as data, the key of every round.
struct PhiloxRow {
  static constexpr int kRounds = 10;
  uint32_t multiplier0 = 0;
  uint32_t multiplier1 = 0;
  uint32_t key0[kRounds] = {};
  uint32_t key1[kRounds] = {};
  uint32_t row = 0;  // the counter's second to fourth words; the first is neuron / 8
  uint32_t layer = 0;
  uint32_t step = 0;
};

struct GatedRow {
  PositiveBranch positive = PositiveBranch::kIdentity;
  NegativeBranch negative = NegativeBranch::kZero;  // kZero alone goes with kSquare
  float negative_scale = 1;                         // kScaledSilu
  float positive_silu = 1;                          // kBlend: the share of SiLU; the rest is x
  // kCoinTimesSilu: a coin is true when its 16 bits are below the threshold, 1 .. 65535.
  uint32_t threshold = 0;
  PhiloxRow philox;
  int64_t neurons = 0;
  float l1_scale = 0;
};

struct GatedRowStats {
  int64_t active = 0;
  double hidden_l1 = 0;
};

// gate, up, hidden and gradients: [neurons]; bfloat16 as uint16_t.
struct GatedRowKernels {
  void (*forward_f32)(const GatedRow& row, const float* gate, const float* up, float* hidden,
                      GatedRowStats* stats);
  void (*forward_bf16)(const GatedRow& row, const uint16_t* gate, const uint16_t* up,
                       uint16_t* hidden, GatedRowStats* stats);
  void (*backward_f32)(const GatedRow& row, const float* gate, const float* up,
                       const float* grad_hidden, float* grad_gate, float* grad_up);
  void (*backward_bf16)(const GatedRow& row, const uint16_t* gate, const uint16_t* up,
                        const uint16_t* grad_hidden, uint16_t* grad_gate, uint16_t* grad_up);
};

extern const GatedRowKernels kGatedRowAvx2;
extern const GatedRowKernels kGatedRowAvx512;

}  // namespace stocha

#endif  // STOCHA_KERNELS_GATED_ACTIVATION_ROWS_H_
