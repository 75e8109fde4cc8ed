// Text for the page: escaping, shortening, and numbers as a reader wants them.
#ifndef STOCHA_REPORT_MARKUP_H_
#define STOCHA_REPORT_MARKUP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stocha {

// `text` as HTML and XML content or attribute value: markup characters become entities; broken
// UTF-8 and control characters that XML has no way to write become U+FFFD.
std::string EscapeMarkup(std::string_view text);

// At most `max_characters` code points; a longer text loses its middle to "…", since names of runs
// differ at the end as often as at the start.
std::string Shorten(std::string_view text, size_t max_characters);

// Code points, for estimating widths.
size_t CharacterCount(std::string_view text);

enum class NumberFormat : uint8_t {
  kPlain,    // "0", "3e-5", "0.125", "1.312", "1,250", "12.5k"
  kPercent,  // of a share: "90.5%"
};

// Four significant digits at most (three of a share or from 10,000 on), trailing zeros dropped.
// "not finite" for NaN and infinities.
std::string FormatNumber(double value, NumberFormat format = NumberFormat::kPlain);

// All digits, grouped: "1,234,567".
std::string FormatWhole(int64_t value);

// A loss with three decimals, so that a column lines up; FormatNumber where that would say little.
std::string FormatLoss(double value);

}  // namespace stocha

#endif  // STOCHA_REPORT_MARKUP_H_
