// UTF-8, strictly: what Python's str.encode and bytes.decode accept, and nothing else.
#ifndef STOCHA_BASE_UTF8_H_
#define STOCHA_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stocha {

// One step of a decoder.
struct Utf8Step {
  char32_t code_point;  // U+FFFD where the bytes are no UTF-8
  uint8_t length;       // bytes consumed, at least 1
  bool valid;
};

// Decodes the character at `text[0]`; `text` is not empty. A broken sequence consumes its maximal
// valid prefix (Unicode 3.9, "substitution of maximal subparts"), as Python's decode('replace')
// does.
Utf8Step DecodeUtf8(std::string_view text);

// Whether all of `bytes` is UTF-8.
bool IsUtf8(std::string_view bytes);

// Appends `code_point` (a Unicode scalar value) to `out`.
void AppendUtf8(char32_t code_point, std::string* out);

// `bytes` with every broken sequence replaced by U+FFFD: Python's bytes.decode('utf-8', 'replace').
std::string ReplaceBrokenUtf8(std::string_view bytes);

// The length of the longest prefix of `bytes` that does not end within a character that more bytes
// could still complete. A streaming decoder may emit that much.
size_t CompleteUtf8Prefix(std::string_view bytes);

}  // namespace stocha

#endif  // STOCHA_BASE_UTF8_H_
