#include "stocha/model/gguf_tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

constexpr std::string_view kModelKey = "tokenizer.ggml.model";
constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

// GGUF's kinds of tokens that a byte-level tokenizer has.
enum TokenType : int64_t {
  kNormal = 1,
  kControl = 3,      // special
  kUserDefined = 4,  // cut out of a text like a special one, but part of it
  kUnused = 5,       // fills the list up to the rows of the embedding
};

// What the name of a pre-tokenizer stands for, as in the tokenizer.json of the model it is named
// after.
struct Kind {
  std::string_view name;
  std::string_view pattern;  // splits before ByteLevel; empty: GPT-2's own, within ByteLevel
  bool digits = false;       // every digit alone
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr Kind kKinds[] = {
    {.name = "default"},
    {.name = "gpt-2"},
    {.name = "smollm", .digits = true},
    {.name = "llama-bpe", .pattern = kLlama3Pattern, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .pattern = kLlama3Pattern, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .pattern = kLlama3Pattern, .ignore_merges = true, .add_bos = true},
    {.name = "qwen2", .pattern = kQwen2Pattern, .nfc = true},
};

Json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json PreTokenizerJson(const Kind& kind) {
  Json byte_level = ByteLevel(kind.pattern.empty());
  Json first;
  if (kind.digits) {
    first = {{"type", "Digits"}, {"individual_digits", true}};
  } else if (!kind.pattern.empty()) {
    first = {{"type", "Split"},
             {"pattern", {{"Regex", kind.pattern}}},
             {"behavior", "Isolated"},
             {"invert", false}};
  } else {
    return byte_level;
  }
  return {{"type", "Sequence"}, {"pretokenizers", {first, byte_level}}};
}

class TokenizerReader {
 public:
  TokenizerReader(const GgufContent& content, std::string_view where)
      : content_(content), where_(where) {}

  GgufTokenizer Read();

 private:
  [[noreturn]] void Fail(std::string_view key, const std::string& got,
                         const std::string& expected) const {
    throw Error({.where = std::string(where_),
                 .what = "metadata \"" + std::string(key) + "\"",
                 .got = got,
                 .expected = expected});
  }

  // The array at `key`, of elements T.
  template <typename T>
  const std::vector<T>& List(std::string_view key, const char* expected) const {
    const auto entry = content_.metadata.find(key);
    const bool present = entry != content_.metadata.end();
    const auto* array = present ? std::get_if<GgufArray>(&entry->second) : nullptr;
    const auto* list = array == nullptr ? nullptr : std::get_if<std::vector<T>>(array);
    if (list == nullptr) Fail(key, present ? "something else" : "nothing", expected);
    return *list;
  }
  bool BoolOr(std::string_view key, bool fallback) const {
    const auto entry = content_.metadata.find(key);
    if (entry == content_.metadata.end()) return fallback;
    if (const bool* value = std::get_if<bool>(&entry->second)) return *value;
    Fail(key, "something else", "a bool");
  }
  // The token whose id is at `key`.
  std::optional<std::string> Token(std::string_view key) const;

  const Kind& ReadKind() const;
  Json ModelJson(const Kind& kind) const;
  Json AddedTokensJson() const;
  Json PostProcessorJson(const Kind& kind) const;
  Json ConfigJson() const;

  const GgufContent& content_;
  std::string_view where_;
  std::vector<std::string> tokens_;
  std::vector<int64_t> types_;  // of each token
};

std::optional<std::string> TokenizerReader::Token(std::string_view key) const {
  if (!content_.metadata.contains(key)) return std::nullopt;
  const int64_t id = GgufInteger(content_, key, where_);
  if (id < 0 || id >= static_cast<int64_t>(tokens_.size()) ||
      types_[static_cast<size_t>(id)] == kUnused) {
    Fail(key, std::to_string(id), "the id of a token");
  }
  return tokens_[static_cast<size_t>(id)];
}

const Kind& TokenizerReader::ReadKind() const {
  const std::string& model = GgufString(content_, kModelKey, where_);
  if (model != "gpt2") {
    Fail(kModelKey, "\"" + model + "\"", "\"gpt2\": only byte-level BPE tokenizers are read");
  }
  const std::string name =
      content_.metadata.contains(kPreKey) ? GgufString(content_, kPreKey, where_) : "default";
  const auto* kind = std::ranges::find(kKinds, name, &Kind::name);
  if (kind == std::end(kKinds)) {
    Fail(kPreKey, "\"" + name + "\"", "default, gpt-2, smollm, llama-bpe or qwen2");
  }
  if (BoolOr("tokenizer.ggml.add_space_prefix", false)) {
    Fail("tokenizer.ggml.add_space_prefix", "true", "false");
  }
  return *kind;
}

Json TokenizerReader::ModelJson(const Kind& kind) const {
  Json vocabulary = Json::object();
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (types_[id] == kUnused) continue;
    if (!vocabulary.emplace(tokens_[id], id).second) {
      Fail(kTokensKey, "the token " + Json(tokens_[id]).dump() + " twice", "every token once");
    }
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", kind.ignore_merges},
          {"vocab", std::move(vocabulary)},
          {"merges", List<std::string>(kMergesKey, "a list of merges")}};
}

Json TokenizerReader::AddedTokensJson() const {
  Json added = Json::array();
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (types_[id] != kControl && types_[id] != kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", tokens_[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", types_[id] == kControl}});
  }
  return added;
}

// null, or the template that puts tokens around a text.
Json TokenizerReader::PostProcessorJson(const Kind& kind) const {
  Json single = Json::array();
  Json special = Json::object();
  const auto add = [&](std::string_view id_key) {
    const std::optional<std::string> token = Token(id_key);
    if (!token) return;
    single.push_back({{"SpecialToken", {{"id", *token}, {"type_id", 0}}}});
    special[*token] = {{"id", *token},
                       {"ids", Json::array({GgufInteger(content_, id_key, where_)})},
                       {"tokens", Json::array({*token})}};
  };
  if (BoolOr("tokenizer.ggml.add_bos_token", kind.add_bos)) add("tokenizer.ggml.bos_token_id");
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (BoolOr("tokenizer.ggml.add_eos_token", false)) add("tokenizer.ggml.eos_token_id");
  if (special.empty()) return nullptr;
  Json pair = single;
  for (Json piece : single) {
    Json& named = piece.front();
    named["type_id"] = 1;
    if (piece.contains("Sequence")) named["id"] = "B";
    pair.push_back(std::move(piece));
  }
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(special)}};
}

Json TokenizerReader::ConfigJson() const {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  const auto set = [&](const char* name, std::string_view key) {
    if (const std::optional<std::string> token = Token(key)) config[name] = *token;
  };
  set("bos_token", "tokenizer.ggml.bos_token_id");
  set("eos_token", "tokenizer.ggml.eos_token_id");
  set("unk_token", "tokenizer.ggml.unknown_token_id");
  set("pad_token", "tokenizer.ggml.padding_token_id");
  constexpr std::string_view kTemplateKey = "tokenizer.chat_template";
  if (content_.metadata.contains(kTemplateKey)) {
    config["chat_template"] = GgufString(content_, kTemplateKey, where_);
  }
  return config;
}

GgufTokenizer TokenizerReader::Read() {
  const Kind& kind = ReadKind();
  tokens_ = List<std::string>(kTokensKey, "a list of tokens");
  types_ = List<int64_t>(kTypesKey, "a list of token types");
  if (types_.size() != tokens_.size()) {
    Fail(kTypesKey, std::to_string(types_.size()) + " types",
         std::to_string(tokens_.size()) + ", one a token");
  }
  for (const int64_t type : types_) {
    if (type != kNormal && type != kControl && type != kUserDefined && type != kUnused) {
      Fail(kTypesKey, std::to_string(type), "1, 3, 4 or 5, as a byte-level tokenizer has");
    }
  }
  Json normalizer;
  if (kind.nfc) normalizer = {{"type", "NFC"}};
  const Json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", AddedTokensJson()},
                          {"normalizer", std::move(normalizer)},
                          {"pre_tokenizer", PreTokenizerJson(kind)},
                          {"post_processor", PostProcessorJson(kind)},
                          {"decoder", ByteLevel(true)},
                          {"model", ModelJson(kind)}};
  return {.tokenizer_json = tokenizer.dump(), .tokenizer_config_json = ConfigJson().dump(2) + "\n"};
}

}  // namespace

std::optional<GgufTokenizer> ReadGgufTokenizer(const GgufContent& content, std::string_view where) {
  const auto model = content.metadata.find(kModelKey);
  const bool absent = model == content.metadata.end() ||
                      model->second == GgufValue(std::string("none")) ||
                      model->second == GgufValue(std::string("no_vocab"));
  if (absent) return std::nullopt;
  return TokenizerReader(content, where).Read();
}

}  // namespace stocha
