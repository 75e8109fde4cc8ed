// Short questions, each answered several times: is any of N samples right, is the majority's
// answer, and how different are they?
//
// A prompt is plain text: a few examples with their answers, "CONTEXT ANSWER", each followed by an
// empty line, then the question's own context, without white space at its end. A sample ends at the
// first line break; what stands before it, without white space around, is the answer.
#ifndef STOCHA_EVAL_QUESTION_H_
#define STOCHA_EVAL_QUESTION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/eval/diversity.h"
#include "stocha/eval/examples.h"
#include "stocha/eval/statistics.h"
#include "stocha/model/activation.h"
#include "stocha/model/tokenizer.h"

namespace stocha {

std::string QuestionPrompt(std::span<const QuestionExample> shots, const QuestionExample& question);

// What prompts are computed with. Unless `draw_prompt`, an activation that draws does not draw
// there: the checkpoint's own takes its place, or its mean over coins where that one draws as well.
Activation PromptActivation(const Activation& activation, const Activation& checkpoint,
                            bool draw_prompt);

// [vocab_size]: ids of `end_ids`, and those that stand for a text with a line break.
std::vector<bool> AnswerEnds(const Tokenizer& tokenizer, std::span<const int64_t> end_ids,
                             int64_t vocab_size);
std::string ExtractAnswer(const Tokenizer& tokenizer, std::span<const int32_t> ids);

// Means over questions, of n samples each.
struct BestOf {
  int64_t n = 1;
  Mean exact_match;  // of the best of n (ExpectedBest over all samples)
  Mean f1;
  Mean majority_exact_match;  // of the majority's answer among the first n
  Mean majority_f1;
};

struct QuestionSummary {
  std::vector<BestOf> best_of;         // one each of `counts`
  std::optional<Diversity> diversity;  // of all samples, where there are two or more
};

// samples[i]: the answers to questions[i], at least as many as the largest of `counts`.
QuestionSummary SummarizeQuestions(std::span<const QuestionExample> questions,
                                   std::span<const std::vector<std::string>> samples,
                                   std::span<const int64_t> counts);

}  // namespace stocha

#endif  // STOCHA_EVAL_QUESTION_H_
