#include "stocha/train/bench_activation.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "stocha/kernels/isa.h"
#include "stocha/train/optimizer.h"
#include "stocha/train/transformer.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

constexpr int64_t kBatchSize = 16;
constexpr int64_t kSequenceLength = 256;
constexpr double kP = 0.7;

ModelConfig BenchModel() {
  ModelConfig config;
  config.vocab_size = 4096;
  config.hidden_size = 384;
  config.intermediate_size = 1024;
  config.num_hidden_layers = 6;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 6;
  config.head_dim = 64;
  config.max_position_embeddings = kSequenceLength;
  config.tie_word_embeddings = true;
  return config;
}

at::Tensor TorchSilu(const at::Tensor& gate_up, const GatedActivationCall& /*call*/) {
  const std::vector<at::Tensor> halves = gate_up.chunk(2, 1);
  return at::silu(halves[0]) * halves[1];
}

// What one writes without the op: the draw and both branches are tensors of their own.
at::Tensor NaiveStochastic(const at::Tensor& gate_up, const GatedActivationCall& call) {
  const std::vector<at::Tensor> halves = gate_up.chunk(2, 1);
  const at::Tensor& gate = halves[0];
  const at::Tensor coin = at::rand_like(gate) < call.activation.p();
  return at::where(gate > 0, gate, at::where(coin, at::silu(gate), 0)) * halves[1];
}

struct Variant {
  const char* name;
  const char* what;
  Activation activation;
  GatedActivationFunction function;
};

std::vector<Variant> Variants() {
  const Activation stochastic = StochasticActivation(kP);
  const Activation silu = {.kind = ActivationKind::kSilu};
  return {{"stocha", "the op, stocha:0.7", stochastic, GatedActivation},
          {"silu", "the op, silu", silu, GatedActivation},
          {"torch_silu", "torch, silu(gate) * up", silu, TorchSilu},
          {"naive", "torch, where and rand_like", stochastic, NaiveStochastic}};
}

// A model in training, and a batch that it trains on again and again.
class TrainingStep {
 public:
  TrainingStep()
      : model_(BenchModel(), RandomWeights(BenchModel(), /*seed=*/1)),
        optimizer_(model_.specs(), model_.weights(), Recipe()),
        tokens_(at::randint(BenchModel().vocab_size, {kBatchSize, kSequenceLength + 1},
                            at::detail::createCPUGenerator(2), at::kLong)) {}

  double Milliseconds(const Variant& variant) {
    std::vector<GatedActivationStats> stats(model_.config().num_hidden_layers);
    ForwardOptions options;
    options.activation = variant.activation;
    options.step = static_cast<uint32_t>(optimizer_.step());
    options.compute_type = ComputeType::kBF16;
    options.stats = stats;
    options.gated_activation = variant.function;
    const auto start = std::chrono::steady_clock::now();
    model_
        .Loss(tokens_.narrow(1, 0, kSequenceLength), tokens_.narrow(1, 1, kSequenceLength), options)
        .backward();
    optimizer_.Step(/*learning_rate=*/1e-4, optimizer_.GradientNorm());
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

 private:
  Transformer model_;
  Optimizer optimizer_;
  at::Tensor tokens_;  // [batch, sequence + 1]
};

// Linear between the two values nearest to it.
double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], at - std::floor(at));
}

Spread SpreadOf(const std::vector<double>& values) {
  return {Quantile(values, 0.5), Quantile(values, 0.25), Quantile(values, 0.75)};
}

Spread OverheadPercent(const std::vector<double>& times, const std::vector<double>& base) {
  std::vector<double> ratios;
  ratios.reserve(times.size());
  for (size_t i = 0; i < times.size(); ++i) ratios.push_back(100 * (times[i] / base[i] - 1));
  Spread spread = SpreadOf(ratios);
  spread.median = 100 * (Quantile(times, 0.5) / Quantile(base, 0.5) - 1);
  return spread;
}

}  // namespace

ActivationBenchmark BenchActivation(int64_t rounds, int64_t threads,
                                    const std::function<void(int64_t)>& on_round) {
  at::set_num_threads(static_cast<int>(threads));
  const std::vector<Variant> variants = Variants();
  TrainingStep step;
  std::vector<std::vector<double>> times(variants.size());  // [variant, round], ms
  for (const Variant& variant : variants) step.Milliseconds(variant);
  for (int64_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < variants.size(); ++i) {
      const size_t at = round % 2 == 0 ? i : variants.size() - 1 - i;
      times[at].push_back(step.Milliseconds(variants[at]));
    }
    if (on_round) on_round(round + 1);
  }

  using Benchmark = ActivationBenchmark;
  const bool own_is_faster =
      Quantile(times[Benchmark::kSilu], 0.5) < Quantile(times[Benchmark::kTorchSilu], 0.5);
  const auto& base = times[own_is_faster ? Benchmark::kSilu : Benchmark::kTorchSilu];
  Benchmark result;
  for (size_t i = 0; i < variants.size(); ++i) {
    result.variants.push_back({.name = variants[i].name,
                               .what = variants[i].what,
                               .step_ms = SpreadOf(times[i]),
                               .overhead_percent = OverheadPercent(times[i], base)});
  }
  result.parameters = CountParameters(BenchModel());
  result.tokens_per_step = kBatchSize * kSequenceLength;
  result.rounds = rounds;
  result.threads = threads;
  result.isa = IsaName(SelectedIsa());
  return result;
}

}  // namespace stocha
