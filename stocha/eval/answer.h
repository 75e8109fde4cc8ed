// Is an answer right? Exact match and F1 after SQuAD's normalisation, the best over all accepted
// answers; and what several samples of one question are worth together.
#ifndef STOCHA_EVAL_ANSWER_H_
#define STOCHA_EVAL_ANSWER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace stocha {

// In lower case, without ASCII punctuation, without the words a, an and the, and with one space
// between words: normalize_answer of SQuAD's evaluate-v1.1.py.
std::string NormalizeAnswer(std::string_view text);

struct AnswerScore {
  bool exact = false;  // equal once normalised
  double f1 = 0;       // of the words in common, as multisets
};
// The largest of each over `answers`.
AnswerScore ScoreAnswer(std::string_view prediction, std::span<const std::string> answers);

// The index of the first sample whose normalised form most samples share; of equally common ones
// the one that comes first. `samples` is not empty.
size_t MajorityAnswer(std::span<const std::string> samples);

// The mean, over all ways to take k of `values`, of the largest one taken: what the best of k
// samples scores. For values of 0 and 1 it is pass@k of "Evaluating Large Language Models Trained
// on Code" (arXiv 2107.03374). 1 <= k <= values.size().
double ExpectedBest(std::span<const double> values, int64_t k);

}  // namespace stocha

#endif  // STOCHA_EVAL_ANSWER_H_
