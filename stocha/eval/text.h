// Text as Python's str has it, which the reference implementations of metrics are written in:
// lower case, white space, words.
#ifndef STOCHA_EVAL_TEXT_H_
#define STOCHA_EVAL_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

// Broken UTF-8 becomes U+FFFD.
std::u32string ToCodePoints(std::string_view text);
std::string ToUtf8(std::u32string_view text);

char32_t ToLower(char32_t code_point);  // str.lower(), but for U+0130 and the final sigma
bool IsSpace(char32_t code_point);      // str.isspace()
bool IsWord(char32_t code_point);       // \w of the module re: letters, numbers, _

// The words of `text`: str.split().
std::vector<std::u32string> SplitWords(std::u32string_view text);
std::vector<std::u32string> SplitWords(std::string_view text);

// `text` without white space at its end: str.rstrip().
std::string_view StripRight(std::string_view text);
// ... and at both ends.
std::string_view Strip(std::string_view text);

// len(str).
int64_t CountCodePoints(std::string_view text);

}  // namespace stocha

#endif  // STOCHA_EVAL_TEXT_H_
