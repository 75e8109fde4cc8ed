#include "stocha/model/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr const char* kBytes =
    R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false})";

// The pieces that `step` and then ByteLevel cut, with bars between.
std::string Pieces(const std::string& step, std::string_view text) {
  const Json json =
      ParseJson(R"({"type": "Sequence", "pretokenizers": [)" + step + "," + kBytes + "]}", "test");
  const PreTokenizer pre_tokenizer = PreTokenizer::FromJson(JsonObject(json, "test"));
  std::string joined;
  PieceSplitter(pre_tokenizer).Split(text, [&](std::string_view piece) {
    joined.append(piece).append("|");
  });
  return joined;
}

std::string SplitStep(const std::string& behavior, bool invert = false) {
  return R"({"type": "Split", "pattern": {"Regex": "-"}, "behavior": ")" + behavior +
         R"(", "invert": )" + (invert ? "true" : "false") + "}";
}

TEST(PreTokenizerTest, Behaviors) {
  EXPECT_EQ(Pieces(SplitStep("Isolated"), "a--b-"), "a|-|-|b|-|");
  EXPECT_EQ(Pieces(SplitStep("Removed"), "a--b-"), "a|b|");
  EXPECT_EQ(Pieces(SplitStep("Removed", true), "a--b-"), "-|-|-|");
  EXPECT_EQ(Pieces(SplitStep("MergedWithPrevious"), "a--b-"), "a-|-|b-|");
  EXPECT_EQ(Pieces(SplitStep("MergedWithNext"), "a--b-"), "a|-|-b|-|");
  EXPECT_EQ(Pieces(SplitStep("Contiguous"), "a--b-"), "a|--|b|-|");
}

TEST(PreTokenizerTest, Digits) {
  const std::string one_by_one = R"({"type": "Digits", "individual_digits": true})";
  EXPECT_EQ(Pieces(one_by_one, "ab12\u0663c"), "ab|1|2|\u0663|c|");
  EXPECT_EQ(Pieces(R"({"type": "Digits"})", "ab12\u0663c"), "ab|12\u0663|c|");
}

TEST(PreTokenizerTest, ByteLevelSplitsAsGpt2AndPutsASpaceInFront) {
  const Json json = ParseJson(R"({"type": "ByteLevel", "add_prefix_space": true})", "test");
  const PreTokenizer pre_tokenizer = PreTokenizer::FromJson(JsonObject(json, "test"));
  std::string joined;
  PieceSplitter splitter(pre_tokenizer);
  const auto emit = [&](std::string_view piece) { joined.append(piece).append("|"); };
  splitter.Split("I'll go  x2", emit);
  splitter.Split(" a", emit);
  EXPECT_EQ(joined, " I|'ll| go| | x|2| a|");
}

TEST(PreTokenizerTest, ByteLevelMustBeTheEnd) {
  const auto load = [](const char* text) {
    const Json json = ParseJson(text, "test");
    PreTokenizer::FromJson(JsonObject(json, "test"));
  };
  EXPECT_THROW(load(R"({"type": "Digits"})"), Error);
  EXPECT_THROW(load(R"({"type": "Sequence", "pretokenizers": []})"), Error);
  EXPECT_THROW(load(R"({"type": "Sequence", "pretokenizers": [
                        {"type": "ByteLevel", "add_prefix_space": false}, {"type": "Digits"}]})"),
               Error);
  EXPECT_THROW(load(R"({"type": "Whitespace"})"), Error);
  EXPECT_THROW(load(R"({"type": "ByteLevel", "add_prefix_space": "no"})"), Error);
}

}  // namespace
}  // namespace stocha
