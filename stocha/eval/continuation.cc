#include "stocha/eval/continuation.h"

#include <algorithm>
#include <cmath>

#include "stocha/base/error.h"
#include "stocha/base/memory.h"
#include "stocha/engine/kv_cache.h"
#include "stocha/eval/text.h"

namespace stocha {
namespace {

// Logits kept at a time; a vocabulary is large.
constexpr int64_t kLogitsBytes = int64_t{32} << 20;

// The tokens that all continuations begin with and that predict none of those scored.
int64_t SharedTokens(const ContinuationGroup& group) {
  const Continuation& first = group.continuations.front();
  int64_t shared = first.first - 1;
  for (const Continuation& other : group.continuations) {
    const auto end = std::ranges::mismatch(first.tokens, other.tokens).in1;
    shared = std::min({shared, other.first - 1, int64_t{end - first.tokens.begin()}});
  }
  return shared;
}

// One continuation as it is scored.
struct Sequence {
  const Continuation* continuation;
  uint64_t seed;
  KvCache cache;
  ContinuationScore* score;

  // Tokens not yet run; the last token predicts nothing that is scored.
  std::span<const int32_t> Rest() const {
    const auto& tokens = continuation->tokens;
    return std::span(tokens).subspan(cache.length(), tokens.size() - 1 - cache.length());
  }
};

// A row of logits and what it is scored against.
struct Target {
  int64_t row;
  int32_t token;
  ContinuationScore* score;
};

class Scorer {
 public:
  Scorer(const Model& model, const Activation& activation, Workspace& workspace)
      : model_(model),
        activation_(activation),
        workspace_(workspace),
        vocab_size_(model.config().vocab_size),
        rows_(std::max<int64_t>(kLogitsBytes / (vocab_size_ * int64_t{sizeof(float)}), 1)),
        logits_(rows_ * vocab_size_) {}

  void Add(const ContinuationGroup& group, std::span<ContinuationScore> scores) {
    leaders_.push_back({sequences_.size(), SharedTokens(group)});
    for (size_t i = 0; i < group.continuations.size(); ++i) {
      const Continuation& continuation = group.continuations[i];
      const auto capacity = static_cast<int64_t>(continuation.tokens.size()) - 1;
      scores[i] = {.log_likelihood = 0, .greedy = true};
      sequences_.push_back({.continuation = &continuation,
                            .seed = group.seed,
                            .cache = KvCache(model_.config(), capacity),
                            .score = &scores[i]});
    }
  }

  void Run() {
    RunShared();
    size_t next = 0;
    while (next < sequences_.size()) next = RunTails(next);
  }

 private:
  struct Leader {
    size_t sequence;  // the first of a group
    int64_t shared;
  };

  Step MakeStep(Sequence& sequence, int64_t tokens, LogitsWanted wanted, int64_t row) {
    return {.cache = &sequence.cache,
            .tokens = sequence.Rest().first(tokens),
            .activation = activation_,
            .seed = sequence.seed,
            .wanted = wanted,
            .logits = logits_.data() + row * vocab_size_};
  }

  // Fills every cache with what its group has in common.
  void RunShared() {
    std::vector<Step> steps;
    for (const Leader& leader : leaders_) {
      if (leader.shared == 0) continue;
      steps.push_back(MakeStep(sequences_[leader.sequence], leader.shared, LogitsWanted::kNone, 0));
    }
    if (!steps.empty()) model_.Forward(steps, workspace_);
    for (size_t l = 0; l < leaders_.size(); ++l) {
      const size_t end = l + 1 < leaders_.size() ? leaders_[l + 1].sequence : sequences_.size();
      const KvCache& shared = sequences_[leaders_[l].sequence].cache;
      for (size_t i = leaders_[l].sequence + 1; i < end; ++i) sequences_[i].cache.CopyFrom(shared);
    }
  }

  // Runs as many tokens from sequence `next` on as there is room for logits; returns the first
  // sequence that is not done. Logits of a context that is not shared are computed in vain.
  size_t RunTails(size_t next) {
    std::vector<Step> steps;
    std::vector<Target> targets;
    int64_t used = 0;
    while (next < sequences_.size() && used < rows_) {
      Sequence& sequence = sequences_[next];
      const auto rest = static_cast<int64_t>(sequence.Rest().size());
      const int64_t count = std::min(rest, rows_ - used);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t target = sequence.cache.length() + i + 1;
        if (target < sequence.continuation->first) continue;
        targets.push_back({used + i, sequence.continuation->tokens[target], sequence.score});
      }
      steps.push_back(MakeStep(sequence, count, LogitsWanted::kAll, used));
      used += count;
      if (count < rest) break;
      ++next;
    }
    model_.Forward(steps, workspace_);
    AddScores(targets);
    return next;
  }

  void AddScores(const std::vector<Target>& targets) {
    std::vector<TokenScore> scores(targets.size());
    workspace_.pool->ParallelFor(static_cast<int>(targets.size()), [&](int i, int) {
      scores[i] = ScoreToken(workspace_.kernels, logits_.data() + targets[i].row * vocab_size_,
                             vocab_size_, targets[i].token);
    });
    for (size_t i = 0; i < targets.size(); ++i) {
      if (!std::isfinite(scores[i].log_probability)) ThrowNotFinite("eval");
      targets[i].score->log_likelihood += scores[i].log_probability;
      targets[i].score->greedy = targets[i].score->greedy && scores[i].greedy;
    }
  }

  const Model& model_;
  Activation activation_;
  Workspace& workspace_;
  int64_t vocab_size_;
  int64_t rows_;
  Buffer<float> logits_;  // [rows, vocab_size]
  std::vector<Sequence> sequences_;
  std::vector<Leader> leaders_;
};

}  // namespace

TokenScore ScoreToken(const KernelTable& kernels, float* logits, int64_t vocab_size,
                      int32_t target) {
  const float of_target = logits[target];
  const float largest = kernels.max(logits, vocab_size);
  const double sum = kernels.exp_sum(logits, largest, vocab_size, logits);
  return {.log_probability = double{of_target} - (std::log(sum) + largest),
          .greedy = of_target == largest};
}

void ThrowNotFinite(std::string_view where) {
  throw Error({.where = std::string(where),
               .what = "the model's logits are not finite",
               .hint = "the weights are damaged, or the activation is not the model's"});
}

Continuation EncodePair(const Tokenizer& tokenizer, std::string_view context,
                        std::string_view continuation, int64_t max_positions,
                        const std::string& where) {
  const std::vector<int32_t> whole =
      tokenizer.Encode(std::string(context) + std::string(continuation));
  Continuation pair = {.tokens = tokenizer.Encode(StripRight(context))};
  const auto length = static_cast<int64_t>(whole.size());
  const auto of_context = static_cast<int64_t>(pair.tokens.size());
  const int64_t cut = std::max<int64_t>(length - (max_positions + 1), 0);
  pair.first = of_context - cut;
  if (of_context >= length || pair.first < 1) {
    throw Error(
        {.where = where,
         .what = "cannot cut into context and continuation",
         .got = std::to_string(of_context) + " tokens of context in " + std::to_string(length),
         .expected =
             "one or more of each within the model's " + std::to_string(max_positions + 1)});
  }
  pair.tokens.insert(pair.tokens.end(), whole.begin() + of_context, whole.end());
  pair.tokens.erase(pair.tokens.begin(), pair.tokens.begin() + cut);
  return pair;
}

std::vector<std::vector<ContinuationScore>> ScoreContinuations(
    const Model& model, std::span<const ContinuationGroup> groups, const Activation& activation,
    Workspace& workspace) {
  std::vector<std::vector<ContinuationScore>> scores;
  scores.reserve(groups.size());
  Scorer scorer(model, activation, workspace);
  for (const ContinuationGroup& group : groups) {
    scores.emplace_back(group.continuations.size());
    scorer.Add(group, scores.back());
  }
  scorer.Run();
  return scores;
}

int64_t CountTokens(const ContinuationGroup& group) {
  const int64_t shared = SharedTokens(group);
  int64_t tokens = shared;
  for (const Continuation& continuation : group.continuations) {
    tokens += static_cast<int64_t>(continuation.tokens.size()) - 1 - shared;
  }
  return tokens;
}

}  // namespace stocha
