#include "stocha/model/tokenizer_json.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/model/byte_alphabet.h"

namespace stocha {
namespace {

constexpr int64_t kMaxId = std::numeric_limits<int32_t>::max() - 1;  // one past it fits as well
constexpr size_t kMaxAddedTokenBytes = 1024;

[[noreturn]] void Fail(const JsonObject& json, const std::string& what, const std::string& got,
                       const std::string& expected = "") {
  throw Error({.where = json.where(), .what = what, .got = got, .expected = expected});
}

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

StringMap<int32_t> ParseVocabulary(const JsonObject& model) {
  const JsonObject object = model.Object("vocab");
  StringMap<int32_t> vocabulary;
  vocabulary.reserve(object.value().size());
  std::vector<std::pair<int32_t, std::string_view>> by_id;
  for (const auto& [spelling, value] : object.value().items()) {
    const auto id = static_cast<int32_t>(object.Integer(spelling, 0, kMaxId));
    by_id.emplace_back(id, vocabulary.emplace(spelling, id).first->first);
  }
  std::sort(by_id.begin(), by_id.end());
  for (size_t i = 1; i < by_id.size(); ++i) {
    if (by_id[i].first == by_id[i - 1].first) {
      Fail(model, "two tokens have the id " + std::to_string(by_id[i].first),
           Quoted(by_id[i - 1].second) + " and " + Quoted(by_id[i].second));
    }
  }
  return vocabulary;
}

// A merge, in either form that files have: "left right" or ["left", "right"].
std::pair<std::string, std::string> ParseMerge(const JsonObject& model, const Json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  Fail(model, "broken merge", merge.dump(), "\"left right\" or [\"left\", \"right\"]");
}

MergeTable ParseMerges(const JsonObject& model, const StringMap<int32_t>& vocabulary) {
  const Json& list = model.Array("merges");
  MergeTable merges(list.size());
  uint32_t rank = 0;
  for (const Json& merge : list) {
    // The first line of a merges.txt, which some converters took along.
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = ParseMerge(model, merge);
    const auto id_of = [&](const std::string& token) {
      const auto found = vocabulary.find(token);
      if (found == vocabulary.end()) {
        Fail(model, "merge " + merge.dump() + " needs a token", Quoted(token) + " is not there");
      }
      return found->second;
    };
    const int32_t left_id = id_of(left);
    const int32_t right_id = id_of(right);
    merges.Insert(left_id, right_id, {rank++, id_of(left + right)});
  }
  return merges;
}

// What the model may ask for and is not done here must be absent, or as good as absent.
void RefuseOptions(const JsonObject& model) {
  if (model.StringOr("type", "BPE") != "BPE") {
    model.Fail("type", "\"BPE\"", "only byte-level BPE tokenizers are read");
  }
  if (model.NumberOr("dropout", 0) != 0) model.Fail("dropout", "null or 0");
  if (model.BoolOr("byte_fallback", false)) model.Fail("byte_fallback", "false");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.StringOr(key, "").empty()) model.Fail(key, "null or \"\"");
  }
}

BytePairModel ParseModel(const JsonObject& model, const StringMap<int32_t>& vocabulary) {
  RefuseOptions(model);
  BytePairModel parsed{.byte_tokens = {},
                       .merges = ParseMerges(model, vocabulary),
                       .fuse_unknown = model.BoolOr("fuse_unk", false)};
  parsed.byte_tokens.fill(BytePairModel::kNoToken);
  const bool whole_pieces = model.BoolOr("ignore_merges", false);
  for (const auto& [spelling, id] : vocabulary) {
    const std::optional<std::string> bytes = BytesOfSpelling(spelling);
    if (!bytes) continue;
    if (bytes->size() == 1) parsed.byte_tokens[static_cast<uint8_t>((*bytes)[0])] = id;
    if (whole_pieces) parsed.whole_pieces.emplace(*bytes, id);
  }
  const std::string unknown = model.StringOr("unk_token", "");
  if (const auto found = vocabulary.find(unknown); found != vocabulary.end()) {
    parsed.unknown = found->second;
  } else if (model.Has("unk_token") &&
             std::count(parsed.byte_tokens.begin(), parsed.byte_tokens.end(),
                        BytePairModel::kNoToken) > 0) {
    model.Fail("unk_token", "a token of the vocabulary");
  }
  return parsed;
}

// `tokenizers` numbers added tokens anew; a file in which that gives other ids contradicts itself.
std::vector<AddedToken> ParseAddedTokens(const JsonObject& root,
                                         const StringMap<int32_t>& vocabulary) {
  std::vector<AddedToken> added;
  if (!root.Has("added_tokens")) return added;
  std::unordered_set<int32_t> vocabulary_ids;
  for (const auto& [spelling, id] : vocabulary) vocabulary_ids.insert(id);
  auto next_id = static_cast<int64_t>(vocabulary.size());
  const Json& list = root.Array("added_tokens");
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonObject value(list[i], root.where(), "added_tokens[" + std::to_string(i) + "].");
    AddedToken token{.id = static_cast<int32_t>(value.Integer("id", 0, kMaxId)),
                     .content = value.String("content"),
                     .single_word = value.BoolOr("single_word", false),
                     .lstrip = value.BoolOr("lstrip", false),
                     .rstrip = value.BoolOr("rstrip", false),
                     .special = value.BoolOr("special", false)};
    token.normalized = value.BoolOr("normalized", !token.special);
    if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes) {
      value.Fail("content", "1 to " + std::to_string(kMaxAddedTokenBytes) + " bytes");
    }
    const auto found = vocabulary.find(token.content);
    const bool known = found != vocabulary.end();
    const int64_t id = known ? found->second : next_id++;
    if (id != token.id || (!known && vocabulary_ids.contains(token.id))) {
      value.Fail("id",
                 known ? std::to_string(id) + ", as in the vocabulary"
                       : "the next free id, " + std::to_string(id),
                 "the token is " + Quoted(token.content));
    }
    added.push_back(std::move(token));
  }
  return added;
}

// Whether to normalize to NFC.
bool ParseNormalizer(const JsonObject& value) {
  const std::string type = value.String("type");
  if (type == "NFC") return true;
  if (type != "Sequence") value.Fail("type", "\"NFC\", or no normalizer");
  bool nfc = false;
  for (const Json& part : value.Array("normalizers")) {
    nfc = ParseNormalizer({part, value.where(), "normalizers[]."}) || nfc;
  }
  return nfc;
}

void CheckDecoder(const JsonObject& value) {
  const std::string type = value.String("type");
  if (type == "ByteLevel") return;
  if (type != "Sequence") value.Fail("type", "\"ByteLevel\"");
  const Json& parts = value.Array("decoders");
  if (parts.empty()) value.Fail("decoders", "\"ByteLevel\"");
  for (size_t i = 0; i < parts.size(); ++i) {
    const JsonObject part(parts[i], value.where(), "decoders[" + std::to_string(i) + "].");
    if (part.String("type") != (i == 0 ? "ByteLevel" : "Fuse")) {
      part.Fail("type", i == 0 ? "\"ByteLevel\"" : "\"Fuse\" after \"ByteLevel\"");
    }
  }
}

// Ids of a special token named in a template.
std::vector<int32_t> TemplateIds(const JsonObject& processor, const std::string& name) {
  const JsonObject token = processor.Object("special_tokens").Object(name);
  std::vector<int32_t> ids;
  for (const Json& id : token.Array("ids")) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMaxId) {
      token.Fail("ids", "token ids");
    }
    ids.push_back(static_cast<int32_t>(id.get<int64_t>()));
  }
  return ids;
}

// The template for a single text: special tokens around "Sequence" A.
void ParseTemplate(const JsonObject& processor, TokenizerParts* parts) {
  std::vector<int32_t> before;
  std::vector<int32_t> after;
  bool text_seen = false;
  const Json& pieces = processor.Array("single");
  for (size_t i = 0; i < pieces.size(); ++i) {
    const JsonObject piece(pieces[i], processor.where(), "single[" + std::to_string(i) + "].");
    if (piece.Has("SpecialToken")) {
      const std::vector<int32_t> ids =
          TemplateIds(processor, piece.Object("SpecialToken").String("id"));
      std::vector<int32_t>& side = text_seen ? after : before;
      side.insert(side.end(), ids.begin(), ids.end());
    } else if (text_seen || piece.Object("Sequence").String("id") != "A") {
      processor.Fail("single", "the text, \"A\", once");
    } else {
      text_seen = true;
    }
  }
  if (!text_seen) processor.Fail("single", "the text, \"A\", once");
  parts->prefix.insert(parts->prefix.begin(), before.begin(), before.end());
  parts->suffix.insert(parts->suffix.end(), after.begin(), after.end());
}

void ParsePostProcessor(const JsonObject& value, TokenizerParts* parts) {
  const std::string type = value.String("type");
  if (type == "ByteLevel") return;  // about offsets alone
  if (type == "TemplateProcessing") return ParseTemplate(value, parts);
  if (type != "Sequence") value.Fail("type", "\"TemplateProcessing\" or \"ByteLevel\"");
  for (const Json& part : value.Array("processors")) {
    ParsePostProcessor({part, value.where(), "processors[]."}, parts);
  }
}

}  // namespace

TokenizerParts ParseTokenizerJson(std::string_view json, std::string_view where) {
  const Json value = ParseJson(json, where);
  const JsonObject root(value, where);
  if (root.StringOr("version", "1.0") != "1.0") root.Fail("version", "\"1.0\"");
  for (const char* key : {"truncation", "padding"}) {
    if (root.Has(key)) root.Fail(key, "null");
  }
  const JsonObject model = root.Object("model");
  StringMap<int32_t> vocabulary = ParseVocabulary(model);
  BytePairModel byte_pairs = ParseModel(model, vocabulary);
  std::vector<AddedToken> added = ParseAddedTokens(root, vocabulary);
  if (vocabulary.empty() && added.empty()) model.Fail("vocab", "tokens");
  TokenizerParts parts{
      .vocabulary = std::move(vocabulary),
      .model = std::move(byte_pairs),
      .added = std::move(added),
      .nfc = root.Has("normalizer") && ParseNormalizer(root.Object("normalizer")),
      .pre_tokenizer = PreTokenizer::FromJson(root.Object("pre_tokenizer")),
  };
  CheckDecoder(root.Object("decoder"));
  if (root.Has("post_processor")) ParsePostProcessor(root.Object("post_processor"), &parts);
  return parts;
}

}  // namespace stocha
