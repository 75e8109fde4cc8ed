#include "stocha/eval/question.h"

#include <algorithm>

#include "stocha/eval/answer.h"
#include "stocha/eval/text.h"

namespace stocha {
namespace {

// Of one question.
struct Scores {
  std::vector<double> exact;  // [samples]
  std::vector<double> f1;
};

Scores ScoreSamples(const QuestionExample& question, std::span<const std::string> samples) {
  Scores scores;
  for (const std::string& sample : samples) {
    const AnswerScore score = ScoreAnswer(sample, question.answers);
    scores.exact.push_back(score.exact ? 1 : 0);
    scores.f1.push_back(score.f1);
  }
  return scores;
}

}  // namespace

std::string QuestionPrompt(std::span<const QuestionExample> shots,
                           const QuestionExample& question) {
  std::string prompt;
  for (const QuestionExample& shot : shots) {
    prompt += std::string(StripRight(shot.context)) + " " + shot.answers.front() + "\n\n";
  }
  return prompt + std::string(StripRight(question.context));
}

Activation PromptActivation(const Activation& activation, const Activation& checkpoint,
                            bool draw_prompt) {
  if (draw_prompt || activation.kind != ActivationKind::kStochastic) return activation;
  Activation plain = checkpoint;
  if (plain.kind == ActivationKind::kStochastic) {
    plain.kind = ActivationKind::kExpected;
    plain.granularity = CoinGranularity::kElement;
  }
  return plain;
}

std::vector<bool> AnswerEnds(const Tokenizer& tokenizer, std::span<const int64_t> end_ids,
                             int64_t vocab_size) {
  std::vector<bool> ends(static_cast<size_t>(vocab_size), false);
  for (const int64_t id : end_ids) {
    if (id >= 0 && id < vocab_size) ends[id] = true;
  }
  const int64_t known = std::min<int64_t>(tokenizer.vocab_size(), vocab_size);
  for (int64_t id = 0; id < known; ++id) {
    const std::string_view bytes = tokenizer.TokenBytes(static_cast<int32_t>(id));
    if (bytes.find('\n') != std::string_view::npos) ends[id] = true;
  }
  return ends;
}

std::string ExtractAnswer(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  // A model may have more ids than its tokenizer; they stand for nothing.
  std::vector<int32_t> known;
  for (const int32_t id : ids) {
    if (id < tokenizer.vocab_size()) known.push_back(id);
  }
  const std::string text = tokenizer.Decode(known, /*skip_special=*/true);
  return std::string(Strip(std::string_view(text).substr(0, text.find('\n'))));
}

QuestionSummary SummarizeQuestions(std::span<const QuestionExample> questions,
                                   std::span<const std::vector<std::string>> samples,
                                   std::span<const int64_t> counts) {
  std::vector<Scores> scores;
  scores.reserve(questions.size());
  for (size_t i = 0; i < questions.size(); ++i) {
    scores.push_back(ScoreSamples(questions[i], samples[i]));
  }
  QuestionSummary summary;
  for (const int64_t n : counts) {
    std::vector<double> exact;
    std::vector<double> f1;
    std::vector<double> majority_exact;
    std::vector<double> majority_f1;
    for (size_t i = 0; i < questions.size(); ++i) {
      exact.push_back(ExpectedBest(scores[i].exact, n));
      f1.push_back(ExpectedBest(scores[i].f1, n));
      const size_t chosen = MajorityAnswer(std::span(samples[i]).first(static_cast<size_t>(n)));
      majority_exact.push_back(scores[i].exact[chosen]);
      majority_f1.push_back(scores[i].f1[chosen]);
    }
    summary.best_of.push_back({.n = n,
                               .exact_match = MeanOf(exact),
                               .f1 = MeanOf(f1),
                               .majority_exact_match = MeanOf(majority_exact),
                               .majority_f1 = MeanOf(majority_f1)});
  }
  std::vector<Diversity> prompts;
  for (size_t i = 0; i < questions.size(); ++i) {
    if (samples[i].size() >= 2) prompts.push_back(MeasureDiversity(samples[i]));
  }
  if (!prompts.empty()) summary.diversity = MeanDiversity(prompts);
  return summary;
}

}  // namespace stocha
