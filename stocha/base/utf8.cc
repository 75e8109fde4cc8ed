#include "stocha/base/utf8.h"

namespace stocha {
namespace {

// The shape a lead byte asks for: how many bytes, and the range its second byte must be in (which
// is what excludes overlong forms, surrogates and code points past U+10FFFF).
struct LeadByte {
  uint8_t length;  // 0: not a lead byte
  uint8_t second_min;
  uint8_t second_max;
};

LeadByte Classify(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step DecodeUtf8(std::string_view text) {
  const uint8_t first = static_cast<uint8_t>(text[0]);
  const LeadByte lead = Classify(first);
  if (lead.length == 1) return {first, 1, true};
  if (lead.length == 0) return {0xFFFD, 1, false};
  char32_t code_point = first & (0xFF >> (lead.length + 1));
  for (uint8_t i = 1; i < lead.length; ++i) {
    const uint8_t min = i == 1 ? lead.second_min : 0x80;
    const uint8_t max = i == 1 ? lead.second_max : 0xBF;
    if (i >= text.size()) return {0xFFFD, i, false};
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    if (byte < min || byte > max) return {0xFFFD, i, false};
    code_point = (code_point << 6) | (byte & 0x3F);
  }
  return {code_point, lead.length, true};
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Step step = DecodeUtf8(bytes);
    if (!step.valid) return false;
    bytes.remove_prefix(step.length);
  }
  return true;
}

void AppendUtf8(char32_t code_point, std::string* out) {
  const auto push = [out](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xC0 | (code_point >> 6));
    push(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    push(0xE0 | (code_point >> 12));
    push(0x80 | ((code_point >> 6) & 0x3F));
    push(0x80 | (code_point & 0x3F));
  } else {
    push(0xF0 | (code_point >> 18));
    push(0x80 | ((code_point >> 12) & 0x3F));
    push(0x80 | ((code_point >> 6) & 0x3F));
    push(0x80 | (code_point & 0x3F));
  }
}

std::string ReplaceBrokenUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = DecodeUtf8(bytes);
    if (step.valid) {
      out.append(bytes.substr(0, step.length));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    bytes.remove_prefix(step.length);
  }
  return out;
}

size_t CompleteUtf8Prefix(std::string_view bytes) {
  // A character that is still open starts within the last three bytes.
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const std::string_view tail = bytes.substr(bytes.size() - back);
    const LeadByte lead = Classify(static_cast<uint8_t>(tail[0]));
    if (lead.length <= 1) continue;
    const Utf8Step step = DecodeUtf8(tail);
    if (!step.valid && step.length == tail.size()) return bytes.size() - back;
    break;
  }
  return bytes.size();
}

}  // namespace stocha
