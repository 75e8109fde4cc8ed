#include "stocha/kernels/gated_activation.h"

#include <type_traits>

#include "stocha/kernels/gated_activation_rows.h"
#include "stocha/kernels/gated_activation_scalar.h"

namespace stocha {
namespace {

// Null where there are none of the ISA: the scalar ones serve.
const GatedRowKernels* RowKernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2 || isa == Isa::kAvxVnni) return &kGatedRowAvx2;
  if (isa == Isa::kAvx512 || isa == Isa::kAmx) return &kGatedRowAvx512;
#endif
  static_cast<void>(isa);
  return nullptr;
}

// The two branches of `activation` when p SiLU is left of 0 whatever the coin.
void SetScaledSilu(double p, GatedRow* row) {
  row->negative = p == 0 ? NegativeBranch::kZero : NegativeBranch::kScaledSilu;
  row->negative_scale = static_cast<float>(p);  // exact: 17 bits
}

void SetPositive(const Activation& activation, GatedRow* row) {
  const double share = activation.positive_silu();
  row->positive_silu = static_cast<float>(share);  // exact: 17 bits
  row->positive = share == 0   ? PositiveBranch::kIdentity
                  : share == 1 ? PositiveBranch::kSilu
                               : PositiveBranch::kBlend;
}

// The branches of a row; those of kToken and kLayer granularity depend on its coin.
void SetBranches(const Activation& activation, const CoinStream& stream, uint32_t row_index,
                 GatedRow* row) {
  switch (activation.kind) {
    case ActivationKind::kRelu:
      return;
    case ActivationKind::kReluSquared:
      row->positive = PositiveBranch::kSquare;
      return;
    case ActivationKind::kSilu:
      row->positive = PositiveBranch::kSilu;
      SetScaledSilu(1, row);
      return;
    case ActivationKind::kExpected:
      SetScaledSilu(activation.p(), row);
      break;
    case ActivationKind::kStochastic:
      if (activation.p_65536 == 0 || activation.p_65536 == 65536) {
        SetScaledSilu(activation.p(), row);
      } else if (activation.granularity == CoinGranularity::kElement) {
        row->negative = NegativeBranch::kCoinTimesSilu;
      } else {
        SetScaledSilu(Coin(activation, stream, row_index, 0) ? 1 : 0, row);
      }
      break;
  }
  SetPositive(activation, row);
}

PhiloxRow MakePhiloxRow(const CoinStream& stream) {
  static_assert(PhiloxRow::kRounds == kPhiloxRounds);
  PhiloxRow philox = {.multiplier0 = kPhiloxMultiplier0,
                      .multiplier1 = kPhiloxMultiplier1,
                      .layer = stream.layer,
                      .step = stream.step};
  for (uint32_t round = 0; round < kPhiloxRounds; ++round) {
    philox.key0[round] = static_cast<uint32_t>(stream.seed) + round * kPhiloxKeyStep0;
    philox.key1[round] = static_cast<uint32_t>(stream.seed >> 32) + round * kPhiloxKeyStep1;
  }
  return philox;
}

// Calls run(row, index) for every row of the call.
template <typename T, typename Run>
void ForEachRow(const GatedActivationArgs<T>& args, const Run& run) {
  GatedRow row = {.threshold = args.activation.p_65536,
                  .philox = MakePhiloxRow(args.stream),
                  .neurons = args.neurons,
                  .l1_scale = args.l1_scale};
  for (int64_t index = 0; index < args.rows; ++index) {
    row.philox.row = args.first_row + static_cast<uint32_t>(index);
    SetBranches(args.activation, args.stream, row.philox.row, &row);
    run(row, index);
  }
}

template <typename T>
auto ForwardOf(const GatedRowKernels& kernels) {
  if constexpr (std::is_same_v<T, float>) {
    return kernels.forward_f32;
  } else {
    return kernels.forward_bf16;
  }
}

template <typename T>
auto BackwardOf(const GatedRowKernels& kernels) {
  if constexpr (std::is_same_v<T, float>) {
    return kernels.backward_f32;
  } else {
    return kernels.backward_bf16;
  }
}

}  // namespace

template <typename T>
void GatedActivationForward(Isa isa, const GatedActivationArgs<T>& args,
                            GatedActivationStats* stats) {
  if constexpr (!std::is_same_v<T, double>) {
    if (const GatedRowKernels* kernels = RowKernels(isa)) {
      GatedRowStats sums;
      ForEachRow(args, [&](const GatedRow& row, int64_t index) {
        ForwardOf<T> (*kernels)(row, args.gate + index * args.gate_stride,
                                args.up + index * args.up_stride,
                                args.hidden + index * args.hidden_stride, &sums);
      });
      if (stats != nullptr) {
        stats->active += sums.active;
        stats->hidden_l1 += sums.hidden_l1;
      }
      return;
    }
  }
  GatedActivationForwardScalar(args, stats);
}

template <typename T>
void GatedActivationBackward(Isa isa, const GatedActivationArgs<T>& args) {
  if constexpr (!std::is_same_v<T, double>) {
    if (const GatedRowKernels* kernels = RowKernels(isa)) {
      ForEachRow(args, [&](const GatedRow& row, int64_t index) {
        const int64_t grad = index * args.grad_stride;
        BackwardOf<T> (*kernels)(row, args.gate + index * args.gate_stride,
                                 args.up + index * args.up_stride,
                                 args.grad_hidden + index * args.hidden_stride,
                                 args.grad_gate + grad, args.grad_up + grad);
      });
      return;
    }
  }
  GatedActivationBackwardScalar(args);
}

#define STOCHA_INSTANTIATE(T)                                                                      \
  template void GatedActivationForward(Isa, const GatedActivationArgs<T>&, GatedActivationStats*); \
  template void GatedActivationBackward(Isa, const GatedActivationArgs<T>&)
STOCHA_INSTANTIATE(float);
STOCHA_INSTANTIATE(uint16_t);
STOCHA_INSTANTIATE(double);
#undef STOCHA_INSTANTIATE

}  // namespace stocha
