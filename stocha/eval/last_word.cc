#include "stocha/eval/last_word.h"

#include <cmath>
#include <vector>

#include "stocha/eval/text.h"

namespace stocha {

ContinuationGroup EncodeLastWord(const Tokenizer& tokenizer, const LastWordExample& example,
                                 int64_t max_positions, const std::string& where) {
  ContinuationGroup group;
  group.continuations.push_back(EncodePair(tokenizer, StripRight(example.context),
                                           " " + std::string(Strip(example.continuation)),
                                           max_positions, where));
  return group;
}

LastWordSummary SummarizeLastWords(std::span<const ContinuationScore> scores) {
  std::vector<double> right;
  std::vector<double> nll;
  for (const ContinuationScore& score : scores) {
    right.push_back(score.greedy ? 1 : 0);
    nll.push_back(-score.log_likelihood);
  }
  const Mean mean_nll = MeanOf(nll);
  const double perplexity = std::exp(mean_nll.mean);
  return {
      .acc = MeanOf(right),
      .perplexity = {.mean = perplexity, .standard_error = perplexity * mean_nll.standard_error}};
}

}  // namespace stocha
