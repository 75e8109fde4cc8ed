// Multiple choice: which of several continuations of a query the model finds likeliest.
//
// The context of an example is its query without white space at the end, then the delimiter; the
// continuation is the choice. Scores are lm_eval's acc, acc_norm and acc_bytes: the log-likelihood
// as it is, divided by the choice's code points, divided by its bytes (UTF-8).
#ifndef STOCHA_EVAL_CHOICE_H_
#define STOCHA_EVAL_CHOICE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/eval/continuation.h"
#include "stocha/eval/examples.h"
#include "stocha/eval/statistics.h"

namespace stocha {

inline constexpr std::string_view kChoiceDelimiter = "\nAnswer: ";

// As EncodePair; `where` names the example.
ContinuationGroup EncodeChoices(const Tokenizer& tokenizer, const ChoiceExample& example,
                                std::string_view delimiter, int64_t max_positions,
                                const std::string& where);

// Whether the likeliest choice is the right one, by each of the three measures.
struct ChoiceResult {
  bool acc = false;
  bool acc_norm = false;
  bool acc_bytes = false;
};
// log_likelihoods: one a choice. Of equal ones the first counts, as numpy.argmax has it.
ChoiceResult JudgeChoices(const ChoiceExample& example, std::span<const double> log_likelihoods);

struct ChoiceSummary {
  Mean acc;
  Mean acc_norm;
  Mean acc_bytes;
};
ChoiceSummary SummarizeChoices(std::span<const ChoiceResult> results);

}  // namespace stocha

#endif  // STOCHA_EVAL_CHOICE_H_
