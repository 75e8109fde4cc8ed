#include "stocha/model/tokenizer.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/utf8.h"
#include "stocha/model/byte_alphabet.h"
#include "stocha/model/nfc.h"
#include "stocha/model/tokenizer_json.h"

namespace stocha {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 29;

// A token as decoding sees it.
struct Token {
  int32_t id;
  bool special;
  std::string bytes;
};

// Tokens are looked for as they come, or in normalized text.
AddedTokenMatcher Matcher(const TokenizerParts& parts, bool normalized, std::string_view where) {
  std::vector<AddedToken> tokens;
  for (AddedToken token : parts.added) {
    if (token.normalized != normalized) continue;
    if (normalized && parts.nfc) token.content = NormalizeNfc(token.content);
    tokens.push_back(std::move(token));
  }
  return {std::move(tokens), where};
}

// Every token, sorted by id.
std::vector<Token> ListTokens(const TokenizerParts& parts) {
  std::vector<Token> tokens;
  const auto add = [&](int32_t id, const std::string& spelling, bool special) {
    tokens.push_back({id, special, BytesOfSpelling(spelling).value_or(spelling)});
  };
  std::unordered_set<int32_t> added_ids;
  std::unordered_set<std::string> specials;
  for (const AddedToken& token : parts.added) {
    added_ids.insert(token.id);
    if (token.special) specials.insert(token.content);
  }
  for (const AddedToken& token : parts.added) {
    const bool normalize = token.normalized && parts.nfc;
    const std::string content = normalize ? NormalizeNfc(token.content) : token.content;
    add(token.id, content, specials.contains(content));
  }
  for (const auto& [spelling, id] : parts.vocabulary) {
    if (!added_ids.contains(id)) add(id, spelling, false);
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const Token& a, const Token& b) { return a.id < b.id; });
  return tokens;
}

}  // namespace

struct Tokenizer::Impl {
  Impl(TokenizerParts from, std::string_view where_)
      : where(where_),
        parts(std::move(from)),
        raw_matcher(Matcher(parts, false, where)),
        normalized_matcher(Matcher(parts, true, where)),
        tokens(ListTokens(parts)) {
    for (const AddedToken& token : parts.added) parts.vocabulary.emplace(token.content, token.id);
    for (const std::vector<int32_t>* around : {&parts.prefix, &parts.suffix}) {
      for (const int32_t id : *around) Find(id);
    }
  }

  // Throws Error when there is no such token.
  const Token& Find(int32_t id) const {
    // Ids are nearly always 0, 1, 2 ...
    const auto index = static_cast<size_t>(id);
    if (index < tokens.size() && tokens[index].id == id) return tokens[index];
    const auto found = std::lower_bound(tokens.begin(), tokens.end(), id,
                                        [](const Token& a, int32_t b) { return a.id < b; });
    if (found != tokens.end() && found->id == id) return *found;
    throw Error({.where = where,
                 .what = "no such token",
                 .got = "id " + std::to_string(id),
                 .expected = "an id below " + std::to_string(tokens.back().id + 1)});
  }

  std::string where;
  TokenizerParts parts;  // its vocabulary includes the added tokens
  AddedTokenMatcher raw_matcher;
  AddedTokenMatcher normalized_matcher;
  std::vector<Token> tokens;  // sorted by id
};

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::FromFile(const std::filesystem::path& path) {
  std::error_code ignored;  // ReadFile says what is wrong
  const bool folder = std::filesystem::is_directory(path, ignored);
  const std::filesystem::path file = folder ? path / "tokenizer.json" : path;
  return FromJson(ReadFile(file, kMaxFileBytes), file.string());
}

Tokenizer Tokenizer::FromJson(std::string_view json, std::string_view where) {
  return Tokenizer(std::make_unique<const Impl>(ParseTokenizerJson(json, where), where));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, bool add_special) const {
  const TokenizerParts& parts = impl_->parts;
  std::string repaired;
  if (!IsUtf8(text)) {
    repaired = ReplaceBrokenUtf8(text);
    text = repaired;
  }
  std::vector<int32_t> ids;
  if (add_special) ids = parts.prefix;
  PieceSplitter splitter(parts.pre_tokenizer);
  BytePairEncoder encoder(parts.model);
  const auto add_token = [&](int32_t id) { ids.push_back(id); };
  const auto add_piece = [&](std::string_view piece) { encoder.Encode(piece, &ids); };
  const auto split = [&](std::string_view part) { splitter.Split(part, add_piece); };
  const auto normalize = [&](std::string_view part) {
    std::string normalized;
    if (parts.nfc) {
      normalized = NormalizeNfc(part);
      part = normalized;
    }
    impl_->normalized_matcher.Split(part, split, add_token);
  };
  impl_->raw_matcher.Split(text, normalize, add_token);
  if (add_special) ids.insert(ids.end(), parts.suffix.begin(), parts.suffix.end());
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    const Token& token = impl_->Find(id);
    if (!skip_special || !token.special) bytes += token.bytes;
  }
  return ReplaceBrokenUtf8(bytes);
}

int32_t Tokenizer::vocab_size() const { return impl_->tokens.back().id + 1; }

std::optional<int32_t> Tokenizer::TokenId(std::string_view token) const {
  const auto found = impl_->parts.vocabulary.find(token);
  if (found == impl_->parts.vocabulary.end()) return std::nullopt;
  return found->second;
}

bool Tokenizer::IsSpecial(int32_t id) const { return impl_->Find(id).special; }

std::string_view Tokenizer::TokenBytes(int32_t id) const { return impl_->Find(id).bytes; }

std::string StreamDecoder::Push(int32_t id) {
  if (!skip_special_ || !tokenizer_->IsSpecial(id)) pending_ += tokenizer_->TokenBytes(id);
  const size_t complete = CompleteUtf8Prefix(pending_);
  std::string text = ReplaceBrokenUtf8(std::string_view(pending_).substr(0, complete));
  pending_.erase(0, complete);
  return text;
}

std::string StreamDecoder::Finish() { return ReplaceBrokenUtf8(std::exchange(pending_, {})); }

}  // namespace stocha
