#include "stocha/eval/perplexity.h"

#include <algorithm>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/memory.h"
#include "stocha/engine/kv_cache.h"
#include "stocha/eval/continuation.h"

namespace stocha {
namespace {

// Logits kept at a time; a vocabulary is large.
constexpr int64_t kLogitsBytes = int64_t{32} << 20;

void CheckOptions(const ModelConfig& config, std::span<const int32_t> ids,
                  const PerplexityOptions& options) {
  const auto require = [](const char* option, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return;
    throw UsageError({.where = option,
                      .what = "value out of range",
                      .got = std::to_string(value),
                      .expected = std::to_string(least) + " to " + std::to_string(most)});
  };
  require("context", options.context, 2, config.max_position_embeddings);
  require("stride", options.stride, 1, options.context);
  if (ids.size() >= 2) return;
  throw Error({.where = "text",
               .what = "nothing to score",
               .got = std::to_string(ids.size()) + " tokens",
               .expected = "2 or more"});
}

class Scorer {
 public:
  Scorer(const Model& model, const PerplexityOptions& options, Workspace& workspace)
      : model_(model),
        options_(options),
        workspace_(workspace),
        vocab_size_(model.config().vocab_size),
        piece_(std::clamp<int64_t>(kLogitsBytes / (vocab_size_ * int64_t{sizeof(float)}), 1,
                                   options.context)),
        cache_(model.config(), options.context),
        logits_(piece_ * vocab_size_),
        nll_(static_cast<size_t>(piece_)) {}

  // Scores window[first_scored ..], each from what precedes it.
  void Score(std::span<const int32_t> window, int64_t first_scored, PerplexityResult* result) {
    cache_.Clear();
    const auto length = static_cast<int64_t>(window.size());
    // The tokens that precede the first scored one but for the last of them, which predicts it.
    const int64_t context_only = first_scored - 1;
    if (context_only > 0) Run(window.first(context_only), LogitsWanted::kNone);
    for (int64_t begin = context_only; begin + 1 < length; begin += piece_) {
      const int64_t count = std::min(piece_, length - 1 - begin);
      Run(window.subspan(begin, count), LogitsWanted::kAll);
      AddNll(window.subspan(begin + 1, count), result);
    }
  }

 private:
  void Run(std::span<const int32_t> tokens, LogitsWanted wanted) {
    const Step step = {.cache = &cache_,
                       .tokens = tokens,
                       .activation = options_.activation,
                       .seed = options_.seed,
                       .wanted = wanted,
                       .logits = logits_.data()};
    model_.Forward({&step, 1}, workspace_);
  }

  // targets[i] is predicted by row i of the logits, which are spent.
  void AddNll(std::span<const int32_t> targets, PerplexityResult* result) {
    const KernelTable& kernels = workspace_.kernels;
    workspace_.pool->ParallelFor(static_cast<int>(targets.size()), [&](int i, int) {
      nll_[i] = -ScoreToken(kernels, logits_.data() + i * vocab_size_, vocab_size_, targets[i])
                     .log_probability;
    });
    for (size_t i = 0; i < targets.size(); ++i) {
      if (!std::isfinite(nll_[i])) ThrowNotFinite("perplexity");
      result->nll += nll_[i];
      if (options_.token_bytes) result->bytes += options_.token_bytes(targets[i]);
    }
    result->tokens += static_cast<int64_t>(targets.size());
  }

  const Model& model_;
  const PerplexityOptions& options_;
  Workspace& workspace_;
  int64_t vocab_size_;
  int64_t piece_;  // tokens whose logits are kept at a time
  KvCache cache_;
  Buffer<float> logits_;     // [piece, vocab_size]
  std::vector<double> nll_;  // [piece]
};

}  // namespace

int64_t CountWindows(int64_t tokens, const PerplexityOptions& options) {
  const int64_t beyond_first = std::max<int64_t>(tokens - options.context, 0);
  return 1 + (beyond_first + options.stride - 1) / options.stride;
}

PerplexityResult Perplexity(const Model& model, std::span<const int32_t> ids,
                            const PerplexityOptions& options, Workspace& workspace,
                            const PerplexityProgress& progress) {
  CheckOptions(model.config(), ids, options);
  Scorer scorer(model, options, workspace);
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t windows = CountWindows(tokens, options);
  PerplexityResult result = options.done;
  for (int64_t window = result.windows; window < windows; ++window) {
    const int64_t begin = window * options.stride;
    const int64_t end = std::min(begin + options.context, tokens);
    // What the window before has held to its end.
    const int64_t scored_to = window == 0 ? 0 : begin - options.stride + options.context;
    const int64_t first_scored = std::max(scored_to - begin, int64_t{1});
    scorer.Score(ids.subspan(begin, end - begin), first_scored, &result);
    ++result.windows;
    if (progress && !progress(result)) break;
  }
  return result;
}

}  // namespace stocha
