// How different several samples of one prompt are from each other.
#ifndef STOCHA_EVAL_DIVERSITY_H_
#define STOCHA_EVAL_DIVERSITY_H_

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace stocha {

struct Diversity {
  // Different n-grams of words over all n-grams of all samples, n = 1, 2, 3; 0 where there is none.
  std::array<double, 3> distinct{};
  // The mean BLEU-4 of each sample with the others as its references, 0 to 1: low is diverse. Words
  // are what white space parts; else sacrebleu's sentence_bleu (exponential smoothing, orders up to
  // the sample's length).
  double self_bleu = 0;
  // The mean over pairs of Levenshtein's distance in code points over the longer one's length.
  double edit_distance = 0;
  // Different answers, normalised (answer.h), over samples.
  double unique = 0;
};

// Of at least two samples.
Diversity MeasureDiversity(std::span<const std::string> samples);

// Over prompts, each measured alone.
Diversity MeanDiversity(std::span<const Diversity> prompts);

}  // namespace stocha

#endif  // STOCHA_EVAL_DIVERSITY_H_
