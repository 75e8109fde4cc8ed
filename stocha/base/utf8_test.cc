#include "stocha/base/utf8.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

// The right-hand sides are what Python prints for bytes.decode('utf-8', 'replace').
TEST(Utf8Test, ReplacesBrokenSequencesAsPythonDoes) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(ReplaceBrokenUtf8("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
  EXPECT_EQ(ReplaceBrokenUtf8("\x80"), r);
  EXPECT_EQ(ReplaceBrokenUtf8("a\xC3"), "a" + r);
  EXPECT_EQ(ReplaceBrokenUtf8("\xC0\xAF"), r + r);                  // overlong
  EXPECT_EQ(ReplaceBrokenUtf8("\xE2\x82(x"), r + "(x");             // maximal subpart
  EXPECT_EQ(ReplaceBrokenUtf8("\xF0\x9F\x98"), r);                  // cut off
  EXPECT_EQ(ReplaceBrokenUtf8("\xED\xA0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(ReplaceBrokenUtf8("\xF4\x90\x80\x80"), r + r + r + r);  // past U+10FFFF
}

TEST(Utf8Test, AppendIsTheInverseOfDecode) {
  for (const char32_t code_point : {0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFD, 0x10000, 0x10FFFF}) {
    std::string text;
    AppendUtf8(code_point, &text);
    const Utf8Step step = DecodeUtf8(text);
    EXPECT_TRUE(step.valid);
    EXPECT_EQ(step.length, text.size());
    EXPECT_EQ(step.code_point, code_point);
  }
}

TEST(Utf8Test, CompletePrefixHoldsBackOnlyWhatMayStillBecomeACharacter) {
  EXPECT_EQ(CompleteUtf8Prefix(""), 0u);
  EXPECT_EQ(CompleteUtf8Prefix("ab"), 2u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xF0\x9F\x98"), 2u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xF0\x9F\x98\x80"), 6u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xE2"), 2u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\x80"), 3u);    // broken for good
  EXPECT_EQ(CompleteUtf8Prefix("\xE2\x28"), 2u);  // likewise
  EXPECT_EQ(CompleteUtf8Prefix("\xED\xA0"), 2u);  // a surrogate can never complete
}

TEST(IsUtf8Test, TellsWholeFromBroken) {
  for (const char* text : {"", "a", "größe 日本語 🙂"}) EXPECT_TRUE(IsUtf8(text)) << text;
  for (const char* text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80z", "\xf4\x90\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

}  // namespace
}  // namespace stocha
