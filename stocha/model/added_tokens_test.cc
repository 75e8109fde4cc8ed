#include "stocha/model/added_tokens.h"

#include <gtest/gtest.h>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// Text in brackets, tokens by their ids.
std::string Split(const std::vector<AddedToken>& tokens, std::string_view text) {
  std::string shown;
  AddedTokenMatcher(tokens, "test")
      .Split(
          text, [&](std::string_view part) { shown += "[" + std::string(part) + "]"; },
          [&](int32_t id) { shown += std::to_string(id); });
  return shown;
}

TEST(AddedTokensTest, LongestFromTheLeft) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "<a>"},
                                          {.id = 2, .content = "<a><b>"},
                                          {.id = 3, .content = "<b>"},
                                          {.id = 4, .content = "a><b"}};
  EXPECT_EQ(Split(tokens, "x<a>y"), "[x]1[y]");
  EXPECT_EQ(Split(tokens, "<a><b><b><a"), "23[<a]");
  EXPECT_EQ(Split(tokens, "<<a><b"), "[<]1[<b]");
  EXPECT_EQ(Split(tokens, ""), "");
  EXPECT_EQ(Split({}, "text"), "[text]");
}

TEST(AddedTokensTest, TakeWhiteSpaceAlong) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "L", .lstrip = true},
                                          {.id = 2, .content = "R", .rstrip = true}};
  EXPECT_EQ(Split(tokens, "a \u3000\tL b"), "[a]1[ b]");
  EXPECT_EQ(Split(tokens, "a R\n b"), "[a ]2[b]");
  EXPECT_EQ(Split(tokens, "R  L"), "21");
}

// What `tokenizers` makes of tokens that are white space themselves.
TEST(AddedTokensTest, WhiteSpaceIsTakenOnce) {
  const std::vector<AddedToken> both = {{.id = 1, .content = "\n", .lstrip = true, .rstrip = true}};
  EXPECT_EQ(Split(both, "a\n\n b"), "[a]1[b]");
  const std::vector<AddedToken> right = {{.id = 1, .content = "\n", .rstrip = true}};
  EXPECT_EQ(Split(right, "a\n\nb"), "[a]11[b]");
}

TEST(AddedTokensTest, SingleWordsStandAlone) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "w", .single_word = true}};
  EXPECT_EQ(Split(tokens, "w-w \u00e9w w\u0301 w_"), "1[-]1[ \u00e9w w\u0301 w_]");
}

TEST(AddedTokensTest, RefusesTwoOfOneContent) {
  EXPECT_THROW(AddedTokenMatcher({{.id = 1, .content = "x"}, {.id = 2, .content = "x"}}, "test"),
               Error);
}

}  // namespace
}  // namespace stocha
