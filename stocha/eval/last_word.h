// LAMBADA: the last word of a passage, which only the passage as a whole tells. The continuation is
// a space and the word; it is right when each of its tokens is the likeliest one.
#ifndef STOCHA_EVAL_LAST_WORD_H_
#define STOCHA_EVAL_LAST_WORD_H_

#include <span>
#include <string>

#include "stocha/eval/continuation.h"
#include "stocha/eval/examples.h"
#include "stocha/eval/statistics.h"

namespace stocha {

// As EncodePair; `where` names the example.
ContinuationGroup EncodeLastWord(const Tokenizer& tokenizer, const LastWordExample& example,
                                 int64_t max_positions, const std::string& where);

struct LastWordSummary {
  Mean acc;
  Mean perplexity;  // of a word: exp of the mean of -log_likelihood; the error by the delta method
};
LastWordSummary SummarizeLastWords(std::span<const ContinuationScore> scores);

}  // namespace stocha

#endif  // STOCHA_EVAL_LAST_WORD_H_
