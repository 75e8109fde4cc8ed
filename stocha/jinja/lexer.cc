#include "stocha/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "stocha/base/error.h"
#include "stocha/jinja/python_text.h"
#include "stocha/jinja/string_literal.h"

namespace stocha::jinja {
namespace {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool StartsName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Longer ones first.
constexpr std::array<std::string_view, 26> kOperators = {
    "==", "!=", ">=", "<=", "//", "**", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

// As Python's universal newlines; one newline at the very end is dropped.
std::string NormalizeNewlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& where)
      : source_(NormalizeNewlines(source)), rest_(source_), where_(where) {}

  std::vector<Token> Run() {
    while (!rest_.empty()) {
      const size_t at = FindTag();
      if (at == std::string_view::npos) {
        AddData(rest_);
        Skip(rest_.size());
        break;
      }
      const char kind = rest_[at + 1];
      const char sign = at + 2 < rest_.size() ? rest_[at + 2] : ' ';
      const bool has_sign = sign == '-' || sign == '+';
      AddData(BeforeTag(rest_.substr(0, at), kind, sign));
      Skip(at);
      const int line = line_;
      Skip(has_sign ? 3 : 2);
      if (kind == '#') {
        SkipComment(line);
      } else {
        LexTag(kind == '{', line);
      }
    }
    Add(TokenKind::kEnd, "", line_);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Fail(std::string what, int line, std::string_view got = "") const {
    throw Error({.where = where_ + ":" + std::to_string(line),
                 .what = std::move(what),
                 .got = std::string(got)});
  }

  void Add(TokenKind kind, std::string text, int line) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .line = line});
  }
  void AddData(std::string_view text) {
    if (!text.empty()) Add(TokenKind::kData, std::string(text), line_);
  }

  void Skip(size_t bytes) {
    const std::string_view skipped = rest_.substr(0, bytes);
    line_ += static_cast<int>(std::ranges::count(skipped, '\n'));
    if (!skipped.empty()) line_starting_ = skipped.back() == '\n';
    rest_.remove_prefix(skipped.size());
  }

  size_t FindTag() const {
    size_t at = rest_.find('{');
    while (at != std::string_view::npos && at + 1 < rest_.size()) {
      const char next = rest_[at + 1];
      if (next == '{' || next == '%' || next == '#') return at;
      at = rest_.find('{', at + 1);
    }
    return std::string_view::npos;
  }

  // The text in front of a tag, less the blanks that go.
  std::string_view BeforeTag(std::string_view text, char kind, char sign) const {
    if (sign == '-') return Strip(text, Side::kRight);
    if (sign == '+' || kind == '{') return text;
    const size_t newline = text.rfind('\n');
    if (newline == std::string_view::npos && !line_starting_) return text;
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    return Strip(text.substr(begin), Side::kLeft).empty() ? text.substr(0, begin) : text;
  }

  void SkipBlanks() { Skip(rest_.size() - Strip(rest_, Side::kLeft).size()); }

  // What follows the end of a tag: nothing of it goes behind "+", all blanks behind "-", else the
  // newline behind anything but a variable.
  void AfterTag(char sign, bool variable) {
    if (sign == '-') {
      SkipBlanks();
    } else if (sign != '+' && !variable && rest_.starts_with('\n')) {
      Skip(1);
    }
  }

  void SkipComment(int line) {
    const size_t end = rest_.find("#}");
    if (end == std::string_view::npos) Fail("a comment that does not end", line);
    const char sign = end > 0 ? rest_[end - 1] : ' ';
    Skip(end + 2);
    AfterTag(sign, false);
  }

  // Whether the tag ends here; if so, goes behind it.
  bool EndTag(bool variable) {
    if (!open_.empty()) return false;
    const std::string_view end = variable ? "}}" : "%}";
    const bool signed_end = !rest_.empty() && (rest_[0] == '-' || (rest_[0] == '+' && !variable)) &&
                            rest_.substr(1).starts_with(end);
    if (!signed_end && !rest_.starts_with(end)) return false;
    Add(variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "", line_);
    const char sign = signed_end ? rest_[0] : ' ';
    Skip(signed_end ? 3 : 2);
    AfterTag(sign, variable);
    return true;
  }

  void LexTag(bool variable, int line) {
    Add(variable ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "", line);
    while (true) {
      if (EndTag(variable)) return;
      SkipBlanks();
      if (rest_.empty()) Fail("a tag that does not end", line);
      if (EndTag(variable)) return;
      const char first = rest_.front();
      if (IsDigit(first)) {
        LexNumber();
      } else if (StartsName(first)) {
        const auto end =
            std::ranges::find_if_not(rest_, [](char c) { return StartsName(c) || IsDigit(c); });
        AddAndSkip(TokenKind::kName, static_cast<size_t>(end - rest_.begin()));
      } else if (first == '\'' || first == '"') {
        LexString(first);
      } else {
        LexOperator();
      }
    }
  }

  void AddAndSkip(TokenKind kind, size_t length) {
    Add(kind, std::string(rest_.substr(0, length)), line_);
    Skip(length);
  }

  void LexNumber() {
    size_t end = 0;
    const auto digits = [&] {
      while (end < rest_.size() && IsDigit(rest_[end])) ++end;
    };
    const auto digit_at = [&](size_t at) { return at < rest_.size() && IsDigit(rest_[at]); };
    digits();
    TokenKind kind = TokenKind::kInteger;
    if (end < rest_.size() && rest_[end] == '.' && digit_at(end + 1)) {
      kind = TokenKind::kFloat;
      ++end;
      digits();
    }
    if (end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
      const bool with_sign =
          end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-');
      if (digit_at(end + (with_sign ? 2 : 1))) {
        kind = TokenKind::kFloat;
        end += with_sign ? 2 : 1;
        digits();
      }
    }
    if (end < rest_.size() && StartsName(rest_[end])) {
      Fail("a number that is not understood", line_, rest_.substr(0, end + 1));
    }
    AddAndSkip(kind, end);
  }

  void LexString(char quote) {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) Fail("a string that does not end", line_);
    Add(TokenKind::kString,
        Unescape(rest_.substr(1, end - 1), where_ + ":" + std::to_string(line_)), line_);
    Skip(end + 1);
  }

  void LexOperator() {
    const auto* found = std::ranges::find_if(
        kOperators, [this](std::string_view symbol) { return rest_.starts_with(symbol); });
    if (found == kOperators.end()) {
      Fail("a character that is not understood", line_, Characters(rest_.substr(0, 4)).front());
    }
    const char symbol = found->front();
    if (symbol == '(' || symbol == '[' || symbol == '{') open_ += symbol;
    if (symbol == ')' || symbol == ']' || symbol == '}') {
      const char opening = symbol == ')' ? '(' : symbol == ']' ? '[' : '{';
      if (!open_.ends_with(opening)) Fail("a bracket that was not opened", line_, *found);
      open_.pop_back();
    }
    AddAndSkip(TokenKind::kOperator, found->size());
  }

  std::string source_;
  std::string_view rest_;
  const std::string& where_;
  std::vector<Token> tokens_;
  std::string open_;  // brackets of the tag
  int line_ = 1;
  bool line_starting_ = true;  // what was read last ended in a newline
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source, const std::string& where) {
  return Lexer(source, where).Run();
}

}  // namespace stocha::jinja
