#include "stocha/base/error.h"

#include <system_error>

#include "stocha/base/utf8.h"

namespace stocha {
namespace {

std::string Compose(const ErrorParts& parts) {
  std::string line;
  const auto append = [&line](std::string_view separator, std::string_view text, size_t max_bytes) {
    if (text.empty()) return;
    if (!line.empty()) line += separator;
    line += Printable(text, max_bytes);
  };
  append("", parts.where, 400);
  append(": ", parts.what, 400);
  if (!parts.got.empty()) append(": ", "got " + parts.got, 204);
  if (!parts.expected.empty()) append(", ", "expected " + parts.expected, 409);
  append("; ", parts.hint, 400);
  return line;
}

}  // namespace

Error::Error(const ErrorParts& parts) : std::runtime_error(Compose(parts)) {}

Error::Error(const Error& error, std::string_view hint)
    : std::runtime_error(error.what() + ("; " + std::string(hint))) {}

std::string Printable(std::string_view text, size_t max_bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "...";
    const Utf8Step step = DecodeUtf8(text);
    if (step.valid && step.code_point >= 0x20 && step.code_point != 0x7F) {
      out.append(text.substr(0, step.length));
    } else if (text[0] == '\n') {
      out += "\\n";
    } else {
      for (uint8_t i = 0; i < step.length; ++i) {
        const auto byte = static_cast<uint8_t>(text[i]);
        out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
    text.remove_prefix(step.length);
  }
  return out;
}

std::string ErrnoMessage(int error_number) { return std::generic_category().message(error_number); }

}  // namespace stocha
