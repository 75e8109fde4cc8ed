#include "stocha/eval/examples.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// The message of the error that `parse` throws; empty: none.
template <typename Parse>
std::string MessageOf(const Parse& parse) {
  try {
    parse();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ExamplesTest, ReadsEveryKindAndPassesOverEmptyLinesAndOtherKeys) {
  const auto choices = ParseChoiceExamples(
      "\n{\"query\": \"q\", \"choices\": [\"a\", \" b\"], \"gold\": 1, \"id\": 7}\r\n \n", "f");
  ASSERT_EQ(choices.size(), 1U);
  EXPECT_EQ(choices[0].choices[1], " b");
  EXPECT_EQ(choices[0].gold, 1);
  const auto words = ParseLastWordExamples(R"({"context": "c", "continuation": "d"})", "f");
  EXPECT_EQ(words.at(0).continuation, "d");
  const auto questions =
      ParseQuestionExamples(R"({"context": "c", "answer": "a", "aliases": ["b", ""]})"
                            "\n"
                            R"({"context": "c", "answer": "a"})",
                            "f");
  EXPECT_EQ(questions.at(0).answers, (std::vector<std::string>{"a", "b", ""}));
  EXPECT_EQ(questions.at(1).answers.size(), 1U);
}

TEST(ExamplesTest, ALimitLeavesTheRestUnread) {
  const std::string line = R"({"context": "c", "continuation": "d"})"
                           "\n";
  EXPECT_EQ(ParseLastWordExamples(line + line + "broken", "f", 2).size(), 2U);
  EXPECT_THROW(ParseLastWordExamples(line + line + "broken", "f", 3), Error);
}

TEST(ExamplesTest, AnErrorNamesFileLineAndKey) {
  const auto choice = [](const std::string& keys) {
    const std::string text = R"({"query": "q", "choices": ["a", "b"], "gold": 0})"
                             "\n{" +
                             keys + "}";
    return MessageOf([&] { ParseChoiceExamples(text, "set.jsonl"); });
  };
  for (const auto& [keys, key] : std::vector<std::pair<std::string, std::string>>{
           {R"("choices": ["a", "b"], "gold": 0)", "\"query\""},
           {R"("query": " \n", "choices": ["a", "b"], "gold": 0)", "\"query\""},
           {R"("query": "q", "choices": ["a"], "gold": 0)", "\"choices\""},
           {R"("query": "q", "choices": ["a", ""], "gold": 0)", "\"choices\""},
           {R"("query": "q", "choices": ["a", 3], "gold": 0)", "\"choices\""},
           {R"("query": "q", "choices": ["a", "b"], "gold": 2)", "\"gold\""},
           {R"("query": "q", "choices": ["a", "b"], "gold": -1)", "\"gold\""}}) {
    const std::string message = choice(keys);
    EXPECT_TRUE(message.starts_with("set.jsonl:2: ")) << message;
    EXPECT_NE(message.find(key), std::string::npos) << message;
  }
  EXPECT_NE(MessageOf([] { ParseQuestionExamples("\n\n[]", "f"); }).find("f:3"), std::string::npos);
  EXPECT_NE(MessageOf([] { ParseQuestionExamples(" \n", "f"); }).find("no examples"),
            std::string::npos);
}

}  // namespace
}  // namespace stocha
