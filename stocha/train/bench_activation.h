// What a whole training step pays for a stochastic activation: the gated activation op with StochA
// against itself in SiLU mode, torch's silu(gate) * up, and StochA written with torch.where.
//
// The model: Llama shape, hidden size 384, 6 layers, 6 heads, FFN 1024, vocabulary 4096, tied, 12.2
// M parameters; 16 sequences of 256 random tokens; bf16; AdamW.
#ifndef STOCHA_TRAIN_BENCH_ACTIVATION_H_
#define STOCHA_TRAIN_BENCH_ACTIVATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stocha {

// A median and the quartiles around it.
struct Spread {
  double median = 0;
  double low = 0;
  double high = 0;
};

struct ActivationVariant {
  std::string name;
  std::string what;
  Spread step_ms;
  // Of its step to that of the faster SiLU, less 1; the median is that of the medians, the
  // quartiles are of the rounds' own ratios.
  Spread overhead_percent;
};

struct ActivationBenchmark {
  static constexpr int kStochastic = 0, kSilu = 1, kTorchSilu = 2, kNaive = 3;
  std::vector<ActivationVariant> variants;  // in this order
  int64_t parameters = 0;
  int64_t tokens_per_step = 0;
  int64_t rounds = 0;
  int64_t threads = 0;
  std::string isa;

  double tokens_per_s() const {
    return 1e3 * static_cast<double>(tokens_per_step) / variants[kStochastic].step_ms.median;
  }
};

// Runs one step of each variant a round, there and back again (A B C D, D C B A ...), so that what
// slows the machine down slows all of them; a first round is not counted. rounds >= 1. `on_round`
// is called after each with the rounds done; may be empty. Sets torch's number of threads.
ActivationBenchmark BenchActivation(int64_t rounds, int64_t threads,
                                    const std::function<void(int64_t)>& on_round);

}  // namespace stocha

#endif  // STOCHA_TRAIN_BENCH_ACTIVATION_H_
