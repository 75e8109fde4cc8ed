#include "stocha/model/pattern.h"

#include <gtest/gtest.h>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// The matches, with bars between.
std::string Matches(std::string_view regex, std::string_view text) {
  const Pattern pattern = Pattern::FromRegex(regex, "test");
  std::vector<PatternMatcher::Match> matches;
  PatternMatcher(pattern).FindAll(text, &matches);
  std::string joined;
  for (const PatternMatcher::Match& match : matches) {
    joined += std::string(text.substr(match.begin, match.end - match.begin)) + "|";
  }
  return joined;
}

std::string ErrorOf(std::string_view regex, std::string_view text = "") {
  try {
    Matches(regex, text);
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(PatternTest, MatchesAsTokenizersDo) {
  constexpr std::string_view kLlama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(Matches(kLlama3, "I'LL be 12345  there!\n\n  \u4e2d\u6587\u3000"),
            "I|'LL| be| |123|45| | there|!\n\n| | \u4e2d\u6587|\u3000|");
}

TEST(PatternTest, KnowsUnicode16) {
  EXPECT_EQ(Matches(R"(\p{Lu}+)", "\U00010D50\U00010D51"), "\U00010D50\U00010D51|");
}

TEST(PatternTest, OffsetsAreBytes) {
  const Pattern pattern = Pattern::FromRegex("b", "test");
  std::vector<PatternMatcher::Match> matches;
  PatternMatcher(pattern).FindAll("\u4e2db\U0001F600b", &matches);
  ASSERT_EQ(matches.size(), 2U);
  EXPECT_EQ(matches[0].begin, 3U);
  EXPECT_EQ(matches[1].begin, 8U);
  EXPECT_EQ(matches[1].end, 9U);
}

TEST(PatternTest, EmptyMatchesDoNotFollowAMatch) { EXPECT_EQ(Matches("a*", "baac"), "|aa||"); }

TEST(PatternTest, AnchorsAreThoseOfLines) {
  EXPECT_EQ(Matches("^.", "ab\ncd\n"), "a|c|");
  EXPECT_EQ(Matches(".$", "ab\ncd\n"), "b|d|");
  EXPECT_EQ(Matches("(?m:.)+", "ab\ncd"), "ab\ncd|");
}

TEST(PatternTest, ClassAlgebra) {
  EXPECT_EQ(Matches("[[a-e]&&[^bd]]+", "abcde"), "a|c|e|");
  EXPECT_EQ(Matches("[^\\P{L}]+", "ab1"), "ab|");
  EXPECT_EQ(Matches("[a-]+", "a-b"), "a-|");
}

TEST(PatternTest, IgnoresCase) {
  EXPECT_EQ(Matches("(?i:ks)", "kS\u212a\u017f"), "kS|\u212a\u017f|");
  EXPECT_EQ(Matches("a(?i)b|c", "aBaCC"), "aB|aC|");  // (?i) binds what follows it
}

TEST(PatternTest, LiteralsAreNoSyntax) {
  const Pattern pattern = Pattern::FromLiteral("a.(", "test");
  std::vector<PatternMatcher::Match> matches;
  PatternMatcher(pattern).FindAll("abca.(", &matches);
  ASSERT_EQ(matches.size(), 1U);
  EXPECT_EQ(matches[0].begin, 3U);
}

TEST(PatternTest, RefusesWhatItDoesNotRead) {
  EXPECT_NE(ErrorOf("(a").find("a ( without its )"), std::string::npos);
  EXPECT_NE(ErrorOf("a)").find("a ) without its ("), std::string::npos);
  EXPECT_NE(ErrorOf("[a").find("ends too early"), std::string::npos);
  EXPECT_NE(ErrorOf("[]").find("a class of nothing"), std::string::npos);
  EXPECT_NE(ErrorOf("a{3,2}").find("bounds"), std::string::npos);
  EXPECT_NE(ErrorOf("a{2}?").find("after {..}"), std::string::npos);
  EXPECT_NE(ErrorOf("**").find("nothing that could be repeated"), std::string::npos);
  EXPECT_NE(ErrorOf("\\p{Foo}").find("general category"), std::string::npos);
  EXPECT_NE(ErrorOf("\\b").find("the escape \\b"), std::string::npos);
  EXPECT_NE(ErrorOf("\\x{D800}").find("no code point"), std::string::npos);
  EXPECT_NE(ErrorOf("(?<n>a)").find("this kind of group"), std::string::npos);
  EXPECT_NE(ErrorOf("(?i:\u00e9)").find("beyond ASCII"), std::string::npos);
  EXPECT_NE(ErrorOf("(?i:ss)").find("ligature"), std::string::npos);
  EXPECT_NE(ErrorOf("(?<=a+)b").find("PCRE2"), std::string::npos);
}

TEST(PatternTest, TooManyKindsOfCharacters) {
  std::string regex;
  for (int i = 0; i < 300; ++i) regex += "\\x{" + std::to_string(1000 + i) + "}";
  EXPECT_NE(ErrorOf(regex).find("too many different characters"), std::string::npos);
}

TEST(PatternTest, StopsWhatTakesTooMuchWork) {
  const std::string text(100'000, 'a');
  for (const char* regex : {"(a|aa)+(b|c)", "(?:a+)*+(b|c)"}) {
    EXPECT_NE(ErrorOf(regex, text).find("too much work"), std::string::npos) << regex;
  }
}

}  // namespace
}  // namespace stocha
