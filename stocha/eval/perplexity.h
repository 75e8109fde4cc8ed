// How well a model predicts a text: perplexity over windows, and bits per byte.
//
// Windows of `context` tokens begin every `stride` tokens and start from nothing. A window scores
// the tokens that no window before it has held, each given all that precedes it in the window; its
// own first token has nothing before it and is never scored. So every token but the text's first is
// scored once when stride < context, with at least context - stride tokens before it; with stride =
// context each window leaves out one more. (The recipe of Hugging Face's "Perplexity of
// fixed-length models".)
#ifndef STOCHA_EVAL_PERPLEXITY_H_
#define STOCHA_EVAL_PERPLEXITY_H_

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <span>

#include "stocha/engine/model.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"

namespace stocha {

struct PerplexityResult {
  int64_t windows = 0;
  int64_t tokens = 0;  // scored
  int64_t bytes = 0;   // of text that they stand for
  double nll = 0;      // sum over them of -ln p(token), nats

  double NllPerToken() const { return nll / static_cast<double>(tokens); }
  double Perplexity() const { return std::exp(NllPerToken()); }
  double BitsPerByte() const { return nll / std::numbers::ln2 / static_cast<double>(bytes); }
};

struct PerplexityOptions {
  int64_t context = 1024;  // 2 .. max_position_embeddings
  int64_t stride = 512;    // 1 .. context
  Activation activation;
  uint64_t seed = 0;  // of coins; their rows are positions in the window
  // The bytes of text that an id stands for; empty: bytes are not counted.
  std::function<int64_t(int32_t id)> token_bytes;
  PerplexityResult done;  // of windows that an earlier run has scored; this one goes on behind them
};

// Called after each window with what is scored so far; returning false ends the run there.
using PerplexityProgress = std::function<bool(const PerplexityResult& so_far)>;

// The windows of a text of `tokens` tokens: the last one is the first to reach its end.
int64_t CountWindows(int64_t tokens, const PerplexityOptions& options);

// Throws Error on a text of less than two tokens, on ids outside the vocabulary, or when the logits
// are no numbers; UsageError on options out of range. Adds to workspace.stats.
PerplexityResult Perplexity(const Model& model, std::span<const int32_t> ids,
                            const PerplexityOptions& options, Workspace& workspace,
                            const PerplexityProgress& progress = {});

}  // namespace stocha

#endif  // STOCHA_EVAL_PERPLEXITY_H_
