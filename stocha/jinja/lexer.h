// A template's text into tokens, with the blanks that transformers' settings take away:
// trim_blocks, lstrip_blocks, no newline at the end.
#ifndef STOCHA_JINJA_LEXER_H_
#define STOCHA_JINJA_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stocha::jinja {

enum class TokenKind : uint8_t {
  kData,  // text between tags, as it is printed
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,  // without quotes, escapes resolved
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

// Ends in kEnd. `source` is UTF-8. Throws Error, "WHERE:LINE" at its head.
std::vector<Token> Tokenize(std::string_view source, const std::string& where);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_LEXER_H_
