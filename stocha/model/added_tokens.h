// Added tokens ("added_tokens" of tokenizer.json), such as <|endoftext|>: cut out of the text
// before anything else, wherever they are spelled out.
#ifndef STOCHA_MODEL_ADDED_TOKENS_H_
#define STOCHA_MODEL_ADDED_TOKENS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // no match next to a letter or digit
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and the white space after it
  bool normalized = false;   // looked for in normalized text
  bool special = false;      // left out of decoded text when asked for
};

// Finds tokens from left to right, the longest at each place. Tokens are few and begin with few
// different characters, so that most places are passed by a look at one byte.
// Immutable and thread-safe.
class AddedTokenMatcher {
 public:
  // Throws Error when two have the same content.
  AddedTokenMatcher(std::vector<AddedToken> tokens, std::string_view where);

  // Calls `on_text` and `on_token` for the parts of `text` (UTF-8), from left to right.
  void Split(std::string_view text, const std::function<void(std::string_view)>& on_text,
             const std::function<void(int32_t)>& on_token) const;

 private:
  const AddedToken* LongestAt(std::string_view text) const;  // nullptr: none begins here

  std::vector<AddedToken> tokens_;      // sorted by content
  std::array<size_t, 257> first_byte_;  // where the tokens that begin with a byte begin
};

}  // namespace stocha

#endif  // STOCHA_MODEL_ADDED_TOKENS_H_
