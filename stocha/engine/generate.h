// From a prompt to new tokens: one sequence or several of the same prompt, in one batch.
#ifndef STOCHA_ENGINE_GENERATE_H_
#define STOCHA_ENGINE_GENERATE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "stocha/engine/model.h"
#include "stocha/engine/sampler.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"

namespace stocha {

struct GenerateOptions {
  int64_t max_tokens = 128;
  int64_t num_samples = 1;  // sample i draws with seed + i
  uint64_t seed = 0;        // of coins and sampling
  SamplerOptions sampler;
  Activation activation;          // of generated tokens
  Activation prompt_activation;   // of the prompt's
  std::vector<int64_t> stop_ids;  // end a sample; not part of it
};

enum class StopReason : uint8_t { kStopId, kMaxTokens, kContextFull, kCancelled };
std::string_view StopReasonName(StopReason reason);  // "stop_id", "max_tokens" ...

struct Sample {
  std::vector<int32_t> ids;  // without the prompt
  StopReason stop = StopReason::kCancelled;
};

// What one phase did and took.
struct PhaseStats {
  int64_t tokens = 0;  // that went through the model
  double seconds = 0;
  std::vector<LayerStats> layers;
};

// What `phase()` takes and reads of the model that `workspace` belongs to, whose counts start anew.
template <typename Phase>
PhaseStats MeasurePhase(Workspace& workspace, const Phase& phase) {
  std::ranges::fill(workspace.stats, LayerStats());
  const auto start = std::chrono::steady_clock::now();
  phase();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {.tokens = workspace.stats.front().tokens,
          .seconds = seconds.count(),
          .layers = workspace.stats};
}

struct GenerateResult {
  std::vector<Sample> samples;
  PhaseStats prefill;  // the prompt; once for all samples unless it draws coins of its own
  PhaseStats decode;
};

// Called with each token as it is sampled.
using TokenCallback = std::function<void(int64_t sample, int32_t id)>;

// Throws Error on an empty prompt, one longer than the model's context, or ids outside the
// vocabulary; UsageError on options out of range. Ends early, with what it has, once `cancelled`
// (may be empty) says so; it is asked between tokens. Resets workspace.stats.
GenerateResult Generate(const Model& model, std::span<const int32_t> prompt,
                        const GenerateOptions& options, Workspace& workspace,
                        const TokenCallback& on_token, const std::function<bool()>& cancelled = {});

}  // namespace stocha

#endif  // STOCHA_ENGINE_GENERATE_H_
