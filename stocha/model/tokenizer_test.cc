#include "stocha/model/tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/model/byte_alphabet.h"

namespace stocha {
namespace {

using Ids = std::vector<int32_t>;

// Bytes of "hello world" and of U+1F600 (F0 9F 98 80), a few merges, three added tokens.
constexpr const char* kTiny = R"({
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 20, "content": "<s>", "special": true, "normalized": false},
    {"id": 21, "content": "<tool>", "special": false, "normalized": false},
    {"id": 22, "content": "\u00e9", "special": false, "normalized": true}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "post_processor": {"type": "Sequence", "processors": [
    {"type": "ByteLevel"},
    {"type": "TemplateProcessing",
     "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
     "special_tokens": {"<s>": {"id": "<s>", "ids": [20], "tokens": ["<s>"]}}}]},
  "decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "Fuse"}]},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "ignore_merges": false,
    "vocab": {"h": 0, "e": 1, "l": 2, "o": 3, "\u0120": 4, "w": 5, "r": 6, "d": 7, "he": 8, "ll": 9,
              "hell": 10, "hello": 11, "\u0120w": 12, "or": 13, "\u00f0": 14, "\u0141": 15,
              "\u013a": 16, "\u0122": 17, "\u00f0\u0141": 18, "\u010a": 19},
    "merges": ["h e", ["l", "l"], "he ll", ["hell", "o"], "\u0120 w", "o r", "\u00f0 \u0141"]}
})";

Tokenizer Tiny() { return Tokenizer::FromJson(kTiny, "tiny.json"); }

// kTiny with the value at `pointer` (RFC 6901) replaced.
std::string TinyWith(const std::string& pointer, const Json& value) {
  Json json = Json::parse(kTiny);
  json[Json::json_pointer(pointer)] = value;
  return json.dump();
}

std::string ErrorOf(const std::string& json) {
  try {
    Tokenizer::FromJson(json, "tiny.json");
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(TokenizerTest, EncodesTextToGoldenIds) {
  const Tokenizer tokenizer = Tiny();
  EXPECT_EQ(tokenizer.Encode("hello world"), (Ids{20, 11, 12, 13, 2, 7}));
  EXPECT_EQ(tokenizer.Encode("hello world", false), (Ids{11, 12, 13, 2, 7}));
  EXPECT_EQ(tokenizer.Encode(""), (Ids{20}));
  EXPECT_EQ(tokenizer.Encode("\U0001F600\n", false), (Ids{18, 16, 17, 19}));
}

TEST(TokenizerTest, FindsAddedTokensInTextAndInNormalizedText) {
  const Tokenizer tokenizer = Tiny();
  EXPECT_EQ(tokenizer.Encode("h<s><tool>o<s", false), (Ids{0, 20, 21, 3}));  // no "<" there
  EXPECT_EQ(tokenizer.Encode("e\u0301o", false), (Ids{22, 3}));
}

TEST(TokenizerTest, BrokenUtf8CountsAsReplacementCharacters) {
  const Tokenizer tokenizer =
      Tokenizer::FromJson(TinyWith("/added_tokens/1/content", "\ufffd"), "tiny.json");
  EXPECT_EQ(tokenizer.Encode("h\xff\xc3o\xf0\x9f", false), (Ids{0, 21, 21, 3, 21}));
}

TEST(TokenizerTest, Decodes) {
  const Tokenizer tokenizer = Tiny();
  EXPECT_EQ(tokenizer.Decode(Ids{20, 11, 12, 13, 2, 7}), "<s>hello world");
  EXPECT_EQ(tokenizer.Decode(Ids{20, 11, 21}, true), "hello<tool>");
  EXPECT_EQ(tokenizer.Decode(Ids{18, 0, 17}), "\ufffdh\ufffd");
  EXPECT_THROW(tokenizer.Decode(Ids{23}), Error);
  EXPECT_THROW(tokenizer.Decode(Ids{-1}), Error);
}

// A byte-level decoder takes U+00E9 for the byte it spells, even in an added token.
TEST(TokenizerTest, AddedTokensAreSpelledInBytesToo) {
  EXPECT_EQ(Tiny().TokenBytes(22), "\xe9");
  EXPECT_EQ(Tiny().Decode(Ids{22}), "\ufffd");
}

TEST(TokenizerTest, SaysWhatTokensAre) {
  const Tokenizer tokenizer = Tiny();
  EXPECT_EQ(tokenizer.vocab_size(), 23);
  EXPECT_EQ(tokenizer.TokenId("\u0120w"), 12);
  EXPECT_EQ(tokenizer.TokenId("<tool>"), 21);
  EXPECT_EQ(tokenizer.TokenId(" w"), std::nullopt);
  EXPECT_TRUE(tokenizer.IsSpecial(20));
  EXPECT_FALSE(tokenizer.IsSpecial(21));
  EXPECT_FALSE(tokenizer.IsSpecial(11));
  EXPECT_EQ(tokenizer.TokenBytes(12), " w");
  EXPECT_THROW(tokenizer.IsSpecial(99), Error);
}

TEST(TokenizerTest, SparseIds) {
  const int32_t far = 2147483646;
  const Tokenizer tokenizer = Tokenizer::FromJson(TinyWith("/model/vocab/d", far), "tiny.json");
  EXPECT_EQ(tokenizer.vocab_size(), 2147483647);
  EXPECT_EQ(tokenizer.TokenBytes(far), "d");
  EXPECT_EQ(tokenizer.Encode("od", false), (Ids{3, far}));
}

TEST(TokenizerTest, ReadsAFileOrAFolder) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / ("tokenizer_test_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "tokenizer.json") << kTiny;
  EXPECT_EQ(Tokenizer::FromFile(folder).vocab_size(), 23);
  EXPECT_EQ(Tokenizer::FromFile(folder / "tokenizer.json").vocab_size(), 23);
  EXPECT_THROW(Tokenizer::FromFile(folder / "missing.json"), Error);
  std::filesystem::remove_all(folder);
}

TEST(StreamDecoderTest, NeverEmitsHalfACharacter) {
  const Tokenizer tokenizer = Tiny();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push(11), "hello");
  EXPECT_EQ(decoder.Push(18), "");
  EXPECT_EQ(decoder.Push(20), "");  // special: left out
  EXPECT_EQ(decoder.Push(16), "");
  EXPECT_EQ(decoder.Push(17), "\U0001F600");
  EXPECT_EQ(decoder.Push(18), "");
  EXPECT_EQ(decoder.Push(0), "\ufffdh");  // cut off by what cannot continue it
  EXPECT_EQ(decoder.Push(14), "");
  EXPECT_EQ(decoder.Finish(), "\ufffd");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(StreamDecoderTest, GivesTheTextOfTheWhole) {
  const Tokenizer tokenizer = Tiny();
  Ids ids;
  for (int32_t i = 0; i < 2000; ++i) ids.push_back((i * i + i / 7) % 23);
  StreamDecoder decoder(tokenizer, /*skip_special=*/false);
  std::string text;
  for (const int32_t id : ids) text += decoder.Push(id);
  text += decoder.Finish();
  EXPECT_EQ(text, tokenizer.Decode(ids));
}

TEST(ByteAlphabetTest, SpellsEveryByte) {
  EXPECT_EQ(BytesOfSpelling("A~\u00a1\u00ff"), "A~\xa1\xff");
  EXPECT_EQ(BytesOfSpelling("\u0120\u010a\u0121\u0122\u0143"), " \n\x7f\x80\xad");
  EXPECT_EQ(BytesOfSpelling("\u0100"), std::string(1, '\0'));
  for (const char* outside : {"a b", "\u00ad", "\u0144", "\u4e2d"}) {
    EXPECT_EQ(BytesOfSpelling(outside), std::nullopt) << outside;
  }
}

TEST(TokenizerJsonTest, RefusesContradictionsAndWhatIsNotDone) {
  const std::pair<std::string, Json> changes[] = {
      {"/version", "2.0"},
      {"/truncation", Json::object()},
      {"/added_tokens/0/id", 5},
      {"/added_tokens/1/id", 30},
      {"/added_tokens/0/content", ""},
      {"/added_tokens/1/content", "<s>"},
      {"/normalizer/normalizers/0/type", "NFD"},
      {"/pre_tokenizer/type", "Metaspace"},
      {"/pre_tokenizer", nullptr},
      {"/post_processor/processors/0/type", "RobertaProcessing"},
      {"/post_processor/processors/1/special_tokens/<s>/ids/0", 99},
      {"/post_processor/processors/1/single/1/Sequence/id", "B"},
      {"/decoder/decoders/1/type", "Strip"},
      {"/decoder", nullptr},
      {"/model/type", "WordPiece"},
      {"/model/dropout", 0.5},
      {"/model/byte_fallback", true},
      {"/model/end_of_word_suffix", "</w>"},
      {"/model/unk_token", "<unk>"},
      {"/model/vocab/x", 7},
      {"/model/vocab/x", -1},
      {"/model/vocab/x", 2147483647},
      {"/model/vocab/x", 1.5},
      {"/model/merges/0", "h x"},
      {"/model/merges/0", "h d"},
      {"/model/merges/0", "h e l"},
      {"/model/merges/0", Json::array({"h"})},
      {"/model/merges", "h e"},
  };
  for (const auto& [pointer, value] : changes) {
    const std::string message = ErrorOf(TinyWith(pointer, value));
    EXPECT_TRUE(message.starts_with("tiny.json: ")) << pointer << " = " << value << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(TokenizerJsonTest, RefusesTruncatedFiles) {
  const std::string whole = kTiny;
  for (size_t size = 0; size < whole.size(); size += 7) {
    EXPECT_TRUE(ErrorOf(whole.substr(0, size)).starts_with("tiny.json: ")) << size;
  }
}

TEST(TokenizerJsonTest, AHeaderLineIsNoMerge) {
  EXPECT_EQ(ErrorOf(TinyWith("/model/merges/0", "#version: 0.2")), "no error");
}

}  // namespace
}  // namespace stocha
