#include "stocha/jinja/string_literal.h"

#include <algorithm>
#include <charconv>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"

namespace stocha::jinja {
namespace {

// What a single character behind a backslash stands for, or 0.
char Simple(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return 0;
  }
}

size_t HexDigits(char c) { return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0; }

// The code point that `digits` write, or past the last there is.
char32_t CodePoint(std::string_view digits, int base) {
  constexpr char32_t kNone = 0x110000;
  uint32_t value = 0;
  const char* begin = digits.data();  // NOLINT(bugprone-suspicious-stringview-data-usage)
  const char* end = begin + digits.size();
  const auto [parsed, error] = std::from_chars(begin, end, value, base);
  if (error != std::errc() || parsed != end || digits.empty()) return kNone;
  return value >= 0xD800 && value <= 0xDFFF ? kNone : std::min<char32_t>(value, kNone);
}

}  // namespace

std::string Unescape(std::string_view body, const std::string& where) {
  std::string text;
  while (!body.empty()) {
    if (body.front() != '\\' || body.size() == 1) {
      text += body.front();
      body.remove_prefix(1);
      continue;
    }
    const char kind = body[1];
    if (kind == '\n') {  // a line that goes on
      body.remove_prefix(2);
    } else if (const char simple = Simple(kind); simple != 0) {
      text += simple;
      body.remove_prefix(2);
    } else if (HexDigits(kind) > 0 || (kind >= '0' && kind <= '7') || kind == 'N') {
      const bool hex = HexDigits(kind) > 0;
      const size_t begin = hex ? 2 : 1;
      size_t end = begin;
      const size_t most = begin + (hex ? HexDigits(kind) : 3);
      if (hex) {
        end = std::min(most, body.size());
      } else {
        while (end < std::min(most, body.size()) && body[end] >= '0' && body[end] <= '7') ++end;
      }
      const char32_t code_point = CodePoint(body.substr(begin, end - begin), hex ? 16 : 8);
      if (code_point > 0x10FFFF || (hex && end < most)) {
        throw Error({.where = where,
                     .what = "an escape in a string that is not understood",
                     .got = std::string(body.substr(0, 10))});
      }
      AppendUtf8(code_point, &text);
      body.remove_prefix(end);
    } else {
      text += '\\';
      body.remove_prefix(1);
    }
  }
  return text;
}

}  // namespace stocha::jinja
