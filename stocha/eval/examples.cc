#include "stocha/eval/examples.h"

#include <functional>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/eval/text.h"

namespace stocha {
namespace {

constexpr size_t kMaxChoices = 1000;

template <typename Example>
std::vector<Example> ParseLines(std::string_view text, std::string_view where, int64_t limit,
                                const std::function<Example(const JsonObject&)>& parse) {
  std::vector<Example> examples;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = std::string(where) + ":" + std::to_string(number);
    const Json json = ParseJson(line, place);
    examples.push_back(parse(JsonObject(json, place)));
    if (static_cast<int64_t>(examples.size()) == limit) break;
  }
  if (examples.empty()) {
    throw Error({.where = std::string(where),
                 .what = "no examples",
                 .expected = "JSON lines, one example a line"});
  }
  return examples;
}

// A string that holds more than white space.
std::string Text(const JsonObject& object, std::string_view key) {
  std::string text = object.String(key);
  if (StripRight(text).empty()) object.Fail(key, "a string with more than white space");
  return text;
}

ChoiceExample ParseChoice(const JsonObject& object) {
  ChoiceExample example = {.query = Text(object, "query")};
  const Json& choices = object.Array("choices");
  for (const Json& choice : choices) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty()) {
      object.Fail("choices", "strings that are not empty");
    }
    example.choices.push_back(choice.get<std::string>());
  }
  if (choices.size() < 2 || choices.size() > kMaxChoices) {
    object.Fail("choices", "2 to " + std::to_string(kMaxChoices) + " choices");
  }
  example.gold = object.Integer("gold", 0, static_cast<int64_t>(choices.size()) - 1);
  return example;
}

LastWordExample ParseLastWord(const JsonObject& object) {
  return {.context = Text(object, "context"), .continuation = Text(object, "continuation")};
}

QuestionExample ParseQuestion(const JsonObject& object) {
  QuestionExample example = {.context = Text(object, "context"),
                             .answers = {Text(object, "answer")}};
  if (!object.Has("aliases")) return example;
  for (const Json& alias : object.Array("aliases")) {
    if (!alias.is_string()) object.Fail("aliases", "an array of strings");
    example.answers.push_back(alias.get<std::string>());
  }
  return example;
}

}  // namespace

std::vector<ChoiceExample> ParseChoiceExamples(std::string_view text, std::string_view where,
                                               int64_t limit) {
  return ParseLines<ChoiceExample>(text, where, limit, &ParseChoice);
}

std::vector<LastWordExample> ParseLastWordExamples(std::string_view text, std::string_view where,
                                                   int64_t limit) {
  return ParseLines<LastWordExample>(text, where, limit, &ParseLastWord);
}

std::vector<QuestionExample> ParseQuestionExamples(std::string_view text, std::string_view where,
                                                   int64_t limit) {
  return ParseLines<QuestionExample>(text, where, limit, &ParseQuestion);
}

}  // namespace stocha
