// Evaluation sets of every kind: parsed or refused; and what was parsed is what the headers
// promise.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/eval/answer.h"
#include "stocha/eval/examples.h"
#include "stocha/eval/text.h"

namespace {

void CheckChoices(std::string_view text) {
  for (const stocha::ChoiceExample& example : stocha::ParseChoiceExamples(text, "f")) {
    const auto choices = static_cast<int64_t>(example.choices.size());
    if (choices < 2 || example.gold < 0 || example.gold >= choices) std::abort();
    if (stocha::StripRight(example.query).empty()) std::abort();
  }
}

void CheckWords(std::string_view text) {
  for (const stocha::LastWordExample& example : stocha::ParseLastWordExamples(text, "f")) {
    if (stocha::Strip(example.continuation).empty()) std::abort();
  }
}

void CheckQuestions(std::string_view text) {
  for (const stocha::QuestionExample& example : stocha::ParseQuestionExamples(text, "f")) {
    const std::string& answer = example.answers.at(0);
    if (!stocha::ScoreAnswer(answer, example.answers).exact) std::abort();
    const std::string normalized = stocha::NormalizeAnswer(answer);
    if (stocha::NormalizeAnswer(normalized).size() > normalized.size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto check : {&CheckChoices, &CheckWords, &CheckQuestions}) {
    try {
      check(text);
    } catch (const stocha::Error&) {
      continue;  // refused
    }
  }
  return 0;
}
