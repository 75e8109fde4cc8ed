// The tokens that a parser has before it.
#ifndef STOCHA_JINJA_TOKEN_STREAM_H_
#define STOCHA_JINJA_TOKEN_STREAM_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/jinja/lexer.h"

namespace stocha::jinja {

class TokenStream {
 public:
  // Borrows both. `tokens` ends in kEnd.
  TokenStream(const std::vector<Token>& tokens, const std::string& where)
      : tokens_(tokens), where_(where) {}

  // The last token stays current.
  const Token& Current(size_t ahead = 0) const {
    return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() {
    const Token& token = Current();
    if (next_ + 1 < tokens_.size()) ++next_;
    return token;
  }
  bool Is(TokenKind kind, std::string_view text, size_t ahead = 0) const {
    const Token& token = Current(ahead);
    return token.kind == kind && token.text == text;
  }
  bool IsOperator(std::string_view text, size_t ahead = 0) const {
    return Is(TokenKind::kOperator, text, ahead);
  }
  bool IsName(std::string_view text, size_t ahead = 0) const {
    return Is(TokenKind::kName, text, ahead);
  }
  bool TakeIf(TokenKind kind, std::string_view text) {
    const bool is = Is(kind, text);
    if (is) Take();
    return is;
  }
  bool TakeOperator(std::string_view text) { return TakeIf(TokenKind::kOperator, text); }
  bool TakeName(std::string_view text) { return TakeIf(TokenKind::kName, text); }

  void Expect(TokenKind kind, std::string_view text) {
    if (!TakeIf(kind, text)) Unexpected(Shown(kind, text));
  }
  std::string ExpectName() {
    if (Current().kind != TokenKind::kName) Unexpected("a name");
    return Take().text;
  }

  [[noreturn]] void Fail(std::string what, int line, std::string got = "",
                         std::string expected = "") const {
    throw Error({.where = where_ + ":" + std::to_string(line),
                 .what = std::move(what),
                 .got = std::move(got),
                 .expected = std::move(expected)});
  }
  [[noreturn]] void Unexpected(std::string expected) const {
    const Token& token = Current();
    Fail("not understood", token.line, Shown(token.kind, token.text), std::move(expected));
  }

 private:
  static std::string Shown(TokenKind kind, std::string_view text) {
    switch (kind) {
      case TokenKind::kVariableEnd:
        return "}}";
      case TokenKind::kBlockEnd:
        return "%}";
      case TokenKind::kEnd:
        return "the end of the template";
      case TokenKind::kString:
        return "a string";
      default:
        return "\"" + std::string(text) + "\"";
    }
  }

  const std::vector<Token>& tokens_;
  const std::string& where_;
  size_t next_ = 0;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_TOKEN_STREAM_H_
