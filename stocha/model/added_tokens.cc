#include "stocha/model/added_tokens.h"

#include <algorithm>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"
#include "stocha/model/unicode.h"

namespace stocha {
namespace {

// \w of Rust's regex crate, which counts zero-width (non-)joiners in.
bool IsWord(char32_t code_point) {
  return code_point == 0x200C || code_point == 0x200D || WordSet().Contains(code_point);
}

bool IsSpace(char32_t code_point) { return WhiteSpaceSet().Contains(code_point); }

// The last character of `text`, which is not empty and valid UTF-8.
Utf8Step LastCharacter(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return DecodeUtf8(text.substr(begin));
}

bool StandsAlone(std::string_view before, std::string_view after) {
  return (before.empty() || !IsWord(LastCharacter(before).code_point)) &&
         (after.empty() || !IsWord(DecodeUtf8(after).code_point));
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens, std::string_view where)
    : tokens_(std::move(tokens)), first_byte_() {
  const auto by_content = [](const AddedToken& a, const AddedToken& b) {
    return a.content < b.content;
  };
  std::sort(tokens_.begin(), tokens_.end(), by_content);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    ++first_byte_[static_cast<uint8_t>(tokens_[i].content[0]) + size_t{1}];
    if (i > 0 && tokens_[i].content == tokens_[i - 1].content) {
      throw Error({.where = std::string(where),
                   .what = "added token twice",
                   .got = "\"" + tokens_[i].content + "\""});
    }
  }
  for (size_t byte = 0; byte < 256; ++byte) first_byte_[byte + 1] += first_byte_[byte];
}

const AddedToken* AddedTokenMatcher::LongestAt(std::string_view text) const {
  const auto byte_at = [](const AddedToken& token, size_t depth) {
    return static_cast<uint8_t>(token.content[depth]);
  };
  const auto first = static_cast<uint8_t>(text[0]);
  auto begin = tokens_.begin() + static_cast<ptrdiff_t>(first_byte_[first]);
  auto end = tokens_.begin() + static_cast<ptrdiff_t>(first_byte_[first + size_t{1}]);
  const AddedToken* longest = nullptr;
  // [begin, end) are the tokens that agree with the text in `depth` bytes.
  for (size_t depth = 1; begin != end; ++depth) {
    if (begin->content.size() == depth) longest = &*begin++;
    if (depth == text.size()) break;
    const auto byte = static_cast<uint8_t>(text[depth]);
    begin = std::partition_point(
        begin, end, [&](const AddedToken& token) { return byte_at(token, depth) < byte; });
    end = std::partition_point(
        begin, end, [&](const AddedToken& token) { return byte_at(token, depth) == byte; });
  }
  return longest;
}

void AddedTokenMatcher::Split(std::string_view text,
                              const std::function<void(std::string_view)>& on_text,
                              const std::function<void(int32_t)>& on_token) const {
  size_t done = 0;  // text before this was handed out
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = LongestAt(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    if (token->single_word && !StandsAlone(text.substr(0, begin), text.substr(end))) continue;
    if (token->lstrip) {
      begin = std::max(begin, done);  // the token before may have taken this one's white space
      while (begin > done) {
        const Utf8Step step = LastCharacter(text.substr(0, begin));
        if (!IsSpace(step.code_point)) break;
        begin -= step.length;
      }
    }
    if (token->rstrip) {
      while (end < text.size()) {
        const Utf8Step step = DecodeUtf8(text.substr(end));
        if (!IsSpace(step.code_point)) break;
        end += step.length;
      }
    }
    if (done < begin) on_text(text.substr(done, begin - done));
    if (begin < end) on_token(token->id);
    done = end;
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace stocha
