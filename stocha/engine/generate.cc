#include "stocha/engine/generate.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// Of the prompt, between two looks at `cancelled`.
constexpr size_t kPromptPiece = 8 * kPassTokens;

void CheckOptions(const ModelConfig& config, std::span<const int32_t> prompt,
                  const GenerateOptions& options) {
  const auto require_positive = [](const char* option, int64_t value) {
    if (value >= 1) return;
    throw UsageError({.where = option,
                      .what = "value out of range",
                      .got = std::to_string(value),
                      .expected = "1 or more"});
  };
  require_positive("max-tokens", options.max_tokens);
  require_positive("num-samples", options.num_samples);
  ValidateSamplerOptions(options.sampler);
  const auto length = static_cast<int64_t>(prompt.size());
  if (length >= 1 && length <= config.max_position_embeddings) return;
  throw Error({.where = "prompt",
               .what = length == 0 ? "empty" : "longer than the model's context",
               .got = std::to_string(length) + " tokens",
               .expected = "1 to " + std::to_string(config.max_position_embeddings)});
}

// One sample as it grows.
struct Sequence {
  KvCache cache;
  Sampler sampler;
  Sample sample;
  bool running = true;
};

class Generation {
 public:
  Generation(const Model& model, std::span<const int32_t> prompt, const GenerateOptions& options,
             Workspace& workspace, const TokenCallback& on_token,
             const std::function<bool()>& cancelled)
      : model_(model),
        prompt_(prompt),
        options_(options),
        workspace_(workspace),
        on_token_(on_token),
        cancelled_(cancelled),
        vocab_size_(model.config().vocab_size) {
    const ModelConfig& config = model.config();
    CheckOptions(config, prompt, options);
    const auto length = static_cast<int64_t>(prompt.size());
    const int64_t room = config.max_position_embeddings - length;
    const int64_t capacity = length + std::min(room, options.max_tokens);
    for (int64_t i = 0; i < options.num_samples; ++i) {
      sequences_.push_back({.cache = KvCache(config, capacity),
                            .sampler = Sampler(options.sampler, Seed(i), config.vocab_size)});
    }
    logits_ = Buffer<float>(options.num_samples * vocab_size_);
  }

  GenerateResult Run() {
    GenerateResult result;
    result.prefill = MeasurePhase(workspace_, [this] { Prefill(); });
    result.decode = MeasurePhase(workspace_, [this] { Decode(); });
    for (Sequence& sequence : sequences_) result.samples.push_back(std::move(sequence.sample));
    return result;
  }

 private:
  uint64_t Seed(int64_t sample) const { return options_.seed + static_cast<uint64_t>(sample); }
  bool Cancelled() const { return cancelled_ && cancelled_(); }
  float* Logits(int64_t sample) const { return logits_.data() + sample * vocab_size_; }

  // Fills the caches and gives every sample its first token.
  void Prefill() {
    // Without draws every sample's prompt is the same computation.
    const bool shared = options_.prompt_activation.kind != ActivationKind::kStochastic;
    const int64_t distinct = shared ? 1 : options_.num_samples;
    for (size_t begin = 0; begin < prompt_.size(); begin += kPromptPiece) {
      if (Cancelled()) return;
      const size_t count = std::min(kPromptPiece, prompt_.size() - begin);
      const bool last = begin + count == prompt_.size();
      std::vector<Step> steps;
      steps.reserve(distinct);
      for (int64_t i = 0; i < distinct; ++i) {
        steps.push_back({.cache = &sequences_[i].cache,
                         .tokens = prompt_.subspan(begin, count),
                         .activation = options_.prompt_activation,
                         .seed = Seed(i),
                         .wanted = last ? LogitsWanted::kLast : LogitsWanted::kNone,
                         .logits = Logits(i)});
      }
      model_.Forward(steps, workspace_);
    }
    for (int64_t i = 0; i < options_.num_samples; ++i) {
      if (i >= distinct) {
        sequences_[i].cache.CopyFrom(sequences_[0].cache);
        std::copy_n(Logits(0), vocab_size_, Logits(i));
      }
      for (const int32_t id : prompt_) sequences_[i].sampler.Accept(id);
      Advance(i);
    }
  }

  void Decode() {
    while (!Cancelled()) {
      std::vector<Step> steps;
      std::vector<int64_t> running;
      for (int64_t i = 0; i < options_.num_samples; ++i) {
        Sequence& sequence = sequences_[i];
        if (!sequence.running) continue;
        steps.push_back({.cache = &sequence.cache,
                         .tokens = std::span(sequence.sample.ids).last(1),
                         .activation = options_.activation,
                         .seed = Seed(i),
                         .logits = Logits(i)});
        running.push_back(i);
      }
      if (steps.empty()) return;
      model_.Forward(steps, workspace_);
      for (const int64_t i : running) Advance(i);
    }
  }

  // Samples the next token of `index` from its logits; it goes on running when there is one to
  // feed.
  void Advance(int64_t index) {
    Sequence& sequence = sequences_[index];
    Sample& sample = sequence.sample;
    const int64_t position = sequence.cache.length();
    const int32_t id =
        sequence.sampler.Sample({Logits(index), static_cast<size_t>(vocab_size_)}, position);
    sequence.running = false;
    if (std::ranges::find(options_.stop_ids, int64_t{id}) != options_.stop_ids.end()) {
      sample.stop = StopReason::kStopId;
      return;
    }
    sequence.sampler.Accept(id);
    sample.ids.push_back(id);
    if (on_token_) on_token_(index, id);
    if (static_cast<int64_t>(sample.ids.size()) == options_.max_tokens) {
      sample.stop = StopReason::kMaxTokens;
    } else if (position == sequence.cache.capacity()) {
      sample.stop = StopReason::kContextFull;
    } else {
      sequence.running = true;
    }
  }

  const Model& model_;
  std::span<const int32_t> prompt_;
  const GenerateOptions& options_;
  Workspace& workspace_;
  const TokenCallback& on_token_;
  const std::function<bool()>& cancelled_;
  int64_t vocab_size_;
  std::vector<Sequence> sequences_;
  Buffer<float> logits_;  // [num_samples, vocab_size]
};

}  // namespace

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kStopId:
      return "stop_id";
    case StopReason::kMaxTokens:
      return "max_tokens";
    case StopReason::kContextFull:
      return "context_full";
    case StopReason::kCancelled:
      return "cancelled";
  }
  return "?";
}

GenerateResult Generate(const Model& model, std::span<const int32_t> prompt,
                        const GenerateOptions& options, Workspace& workspace,
                        const TokenCallback& on_token, const std::function<bool()>& cancelled) {
  return Generation(model, prompt, options, workspace, on_token, cancelled).Run();
}

}  // namespace stocha
