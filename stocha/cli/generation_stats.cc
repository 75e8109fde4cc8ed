#include "stocha/cli/generation_stats.h"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

namespace stocha {

using OrderedJson = nlohmann::ordered_json;

OrderedJson PhaseJson(const PhaseStats& phase, const ModelConfig& config) {
  return {{"tokens", phase.tokens},
          {"seconds", phase.seconds},
          {"tokens_per_s", static_cast<double>(phase.tokens) / phase.seconds},
          {"sparsity", SparsityJson(phase.layers, config)}};
}

void AddGenerationJson(OrderedJson* json, const PhaseStats& prefill, const PhaseStats& decode,
                       const LoadedEngine& engine, const EngineFlags& flags) {
  const ModelConfig& config = engine.model.config();
  (*json)["activation"] = ToString(engine.activation);
  (*json)["ffn"] = flags.ffn;
  (*json)["threads"] = engine.pool.num_threads();
  (*json)["prefill"] = PhaseJson(prefill, config);
  if (decode.tokens > 0) (*json)["decode"] = PhaseJson(decode, config);
}

void PrintGenerationStats(const PhaseStats& prefill, const PhaseStats& decode,
                          const LoadedEngine& engine, const EngineFlags& flags) {
  const ModelConfig& config = engine.model.config();
  const auto phase = [&config](std::string_view name, const PhaseStats& stats) {
    const double silent = MeanSparsity(stats.layers, config);
    fmt::print(stderr,
               "{}: {} tokens in {:.3f} s, {:.1f} tok/s; {:.1f} % of neurons silent, active "
               "fraction {:.3f}\n",
               name, stats.tokens, stats.seconds, static_cast<double>(stats.tokens) / stats.seconds,
               100 * silent, 1 - silent);
  };
  phase("prefill", prefill);
  if (decode.tokens > 0) phase("decode", decode);
  const PhaseStats& shown = decode.tokens > 0 ? decode : prefill;
  fmt::print(stderr, "activation {}, ffn {}, {} threads; silent neurons by layer, %:",
             ToString(engine.activation), flags.ffn, engine.pool.num_threads());
  for (const LayerStats& layer : shown.layers) {
    fmt::print(stderr, " {:.1f}", 100 * (1 - layer.ActiveFraction(config.intermediate_size)));
  }
  fmt::print(stderr, "\n");
}

}  // namespace stocha
