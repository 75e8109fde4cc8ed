#include "stocha/model/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "stocha/base/utf8.h"

namespace stocha {
namespace {

constexpr bool SpellsItself(char32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

constexpr char32_t kFirstShifted = 0x100;
constexpr size_t kShiftedCount = 68;

// The bytes that U+0100 and up stand for.
constexpr std::array<uint8_t, kShiftedCount> kShifted = [] {
  std::array<uint8_t, kShiftedCount> bytes{};
  size_t count = 0;
  for (char32_t byte = 0; byte < 256; ++byte) {
    if (!SpellsItself(byte)) bytes[count++] = static_cast<uint8_t>(byte);
  }
  return bytes;
}();

}  // namespace

std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  std::string bytes;
  while (!spelling.empty()) {
    const Utf8Step step = DecodeUtf8(spelling);
    if (SpellsItself(step.code_point)) {
      bytes.push_back(static_cast<char>(step.code_point));
    } else if (step.code_point >= kFirstShifted &&
               step.code_point < kFirstShifted + kShiftedCount) {
      bytes.push_back(static_cast<char>(kShifted[step.code_point - kFirstShifted]));
    } else {
      return std::nullopt;
    }
    spelling.remove_prefix(step.length);
  }
  return bytes;
}

}  // namespace stocha
