#include "stocha/eval/choice.h"

#include <algorithm>

#include "stocha/eval/text.h"

namespace stocha {
namespace {

// Whether log_likelihood / length is largest for the right choice.
template <typename Length>
bool GoldIsLikeliest(const ChoiceExample& example, std::span<const double> log_likelihoods,
                     const Length& length) {
  std::vector<double> scores;
  scores.reserve(log_likelihoods.size());
  for (size_t i = 0; i < log_likelihoods.size(); ++i) {
    scores.push_back(log_likelihoods[i] / static_cast<double>(length(example.choices[i])));
  }
  return std::ranges::max_element(scores) - scores.begin() == example.gold;
}

}  // namespace

ContinuationGroup EncodeChoices(const Tokenizer& tokenizer, const ChoiceExample& example,
                                std::string_view delimiter, int64_t max_positions,
                                const std::string& where) {
  const std::string context = std::string(StripRight(example.query)) + std::string(delimiter);
  ContinuationGroup group;
  for (const std::string& choice : example.choices) {
    group.continuations.push_back(EncodePair(tokenizer, context, choice, max_positions, where));
  }
  return group;
}

ChoiceResult JudgeChoices(const ChoiceExample& example, std::span<const double> log_likelihoods) {
  const auto one = [](const std::string&) { return int64_t{1}; };
  const auto bytes = [](const std::string& choice) { return choice.size(); };
  return {.acc = GoldIsLikeliest(example, log_likelihoods, one),
          .acc_norm = GoldIsLikeliest(example, log_likelihoods, &CountCodePoints),
          .acc_bytes = GoldIsLikeliest(example, log_likelihoods, bytes)};
}

ChoiceSummary SummarizeChoices(std::span<const ChoiceResult> results) {
  const auto mean_of = [&](bool ChoiceResult::* field) {
    std::vector<double> values;
    for (const ChoiceResult& result : results) values.push_back(result.*field ? 1 : 0);
    return MeanOf(values);
  };
  return {.acc = mean_of(&ChoiceResult::acc),
          .acc_norm = mean_of(&ChoiceResult::acc_norm),
          .acc_bytes = mean_of(&ChoiceResult::acc_bytes)};
}

}  // namespace stocha
