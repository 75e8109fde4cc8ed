// The log-likelihood of continuations, each given a context: what multiple choice and the last word
// of LAMBADA are scored by. Tokens are cut into context and continuation as lm_eval cuts them.
#ifndef STOCHA_EVAL_CONTINUATION_H_
#define STOCHA_EVAL_CONTINUATION_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/engine/model.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"
#include "stocha/model/tokenizer.h"

namespace stocha {

// The log-probability of `target` after softmax over logits [vocab_size], which are spent; and
// whether no other token is likelier.
struct TokenScore {
  double log_probability = 0;  // nats; not finite where the logits are not
  bool greedy = false;
};
TokenScore ScoreToken(const KernelTable& kernels, float* logits, int64_t vocab_size,
                      int32_t target);
// What is thrown where it is not finite.
[[noreturn]] void ThrowNotFinite(std::string_view where);

// tokens[first ..] are scored, each given all that precedes it; 1 <= first < tokens.size().
struct Continuation {
  std::vector<int32_t> tokens;
  int64_t first = 1;
};

// The tokens of the context, then those of context + continuation behind as many. White space at
// the end of the context is left to the continuation, since tokens begin with it. What exceeds
// `max_positions` + 1 tokens is cut off at the left. Throws Error, naming `where`, when no token is
// left on one side of the cut.
Continuation EncodePair(const Tokenizer& tokenizer, std::string_view context,
                        std::string_view continuation, int64_t max_positions,
                        const std::string& where);

struct ContinuationScore {
  double log_likelihood = 0;  // nats, the sum over its tokens
  bool greedy = false;        // every token is the likeliest one
};

// Continuations of one context: what they have in common is computed once.
struct ContinuationGroup {
  std::vector<Continuation> continuations;
  uint64_t seed = 0;  // of coins; their rows are positions
};

// [group][continuation]. The groups go through the model together; their caches are held at the
// same time. Throws Error when the logits are not finite. Adds to workspace.stats.
std::vector<std::vector<ContinuationScore>> ScoreContinuations(
    const Model& model, std::span<const ContinuationGroup> groups, const Activation& activation,
    Workspace& workspace);

// The tokens of a group that go through the model, to make batches of about kScoreBatchTokens.
int64_t CountTokens(const ContinuationGroup& group);
inline constexpr int64_t kScoreBatchTokens = 1024;

}  // namespace stocha

#endif  // STOCHA_EVAL_CONTINUATION_H_
