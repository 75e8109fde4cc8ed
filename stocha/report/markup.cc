#include "stocha/report/markup.h"

#include <fmt/format.h>

#include <cmath>

#include "stocha/base/progress.h"
#include "stocha/base/utf8.h"

namespace stocha {
namespace {

// XML 1.0, production [2] Char, less the control characters that HTML forbids.
bool IsWritable(const Utf8Step& step) {
  const char32_t c = step.code_point;
  if (!step.valid || c == 0xFFFE || c == 0xFFFF) return false;
  return c >= 0x20 ? c < 0x7F || c > 0x9F : c == '\t' || c == '\n';
}

}  // namespace

std::string EscapeMarkup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    switch (step.code_point) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        AppendUtf8(IsWritable(step) ? step.code_point : U'\uFFFD', &out);
    }
    text.remove_prefix(step.length);
  }
  return out;
}

size_t CharacterCount(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(DecodeUtf8(text).length);
  return count;
}

std::string Shorten(std::string_view text, size_t max_characters) {
  const size_t count = CharacterCount(text);
  if (count <= max_characters) return std::string(text);
  const size_t head = max_characters / 2;         // characters kept at the start
  const size_t tail = max_characters - 1 - head;  // and at the end
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t length = DecodeUtf8(text).length;
    if (i < head || i >= count - tail) out.append(text.substr(0, length));
    if (i == head) out += "…";
    text.remove_prefix(length);
  }
  return out;
}

std::string FormatNumber(double value, NumberFormat format) {
  if (!std::isfinite(value)) return "not finite";
  if (format == NumberFormat::kPercent) {
    return fmt::format("{:.{}g}%", 100 * value, value >= 0.99 ? 4 : 3);  // 99.95% is not 100%
  }
  const double magnitude = std::abs(value);
  if (magnitude >= 1e15) return fmt::format("{:.3g}", value);
  if (magnitude >= 9'999.5) return FormatCount(value);
  if (magnitude >= 999.95) return FormatWhole(std::llround(value));
  if (magnitude >= 1e-3 || value == 0) return fmt::format("{:.4g}", value);
  // fmt writes 3e-05; the zero says nothing.
  std::string text = fmt::format("{:.3g}", value);
  const size_t exponent = text.find("e-0");
  if (exponent != std::string::npos) text.erase(exponent + 2, 1);
  return text;
}

std::string FormatWhole(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t first = value < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string FormatLoss(double value) {
  const double magnitude = std::abs(value);
  return magnitude >= 1e-2 && magnitude < 1000 ? fmt::format("{:.3f}", value) : FormatNumber(value);
}

}  // namespace stocha
