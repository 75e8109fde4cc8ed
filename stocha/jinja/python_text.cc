#include "stocha/jinja/python_text.h"

#include <algorithm>
#include <cstring>

#include "stocha/base/utf8.h"

namespace stocha::jinja {
namespace {

// str.isspace() of one code point.
bool IsBlank(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

std::string_view FirstCharacter(std::string_view text) {
  return text.substr(0, DecodeUtf8(text).length);
}

std::string_view LastCharacter(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && IsContinuation(text[begin])) --begin;
  return text.substr(begin);
}

std::vector<std::string_view> SplitAtBlanks(std::string_view text, int64_t most) {
  std::vector<std::string_view> parts;
  text = Strip(text, Side::kLeft);
  while (!text.empty()) {
    if (most >= 0 && std::ssize(parts) == most) {
      parts.push_back(Strip(text, Side::kRight));
      break;
    }
    size_t end = 0;
    while (end < text.size()) {
      const Utf8Step step = DecodeUtf8(text.substr(end));
      if (IsBlank(step.code_point)) break;
      end += step.length;
    }
    parts.push_back(text.substr(0, end));
    text = Strip(text.substr(end), Side::kLeft);
  }
  return parts;
}

}  // namespace

int64_t CodePoints(std::string_view text) {
  return std::ranges::count_if(text, [](char byte) { return !IsContinuation(byte); });
}

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    characters.push_back(FirstCharacter(text));
    text.remove_prefix(characters.back().size());
  }
  return characters;
}

std::string_view Strip(std::string_view text, Side side, std::optional<std::string_view> chars) {
  const auto goes = [&chars](std::string_view character) {
    return chars ? chars->find(character) != std::string_view::npos
                 : IsBlank(DecodeUtf8(character).code_point);
  };
  while (side != Side::kRight && !text.empty()) {
    const std::string_view first = FirstCharacter(text);
    if (!goes(first)) break;
    text.remove_prefix(first.size());
  }
  while (side != Side::kLeft && !text.empty()) {
    const std::string_view last = LastCharacter(text);
    if (!goes(last)) break;
    text.remove_suffix(last.size());
  }
  return text;
}

std::vector<std::string_view> Split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t most) {
  if (!separator) return SplitAtBlanks(text, most);
  std::vector<std::string_view> parts;
  while (most < 0 || std::ssize(parts) < most) {
    const size_t end = Find(text, *separator);
    if (end == std::string_view::npos) break;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + separator->size());
  }
  parts.push_back(text);
  return parts;
}

std::optional<std::string> Replace(std::string_view text, std::string_view old,
                                   std::string_view replacement, int64_t most, size_t max_bytes) {
  std::string out;
  int64_t done = 0;
  while (most < 0 || done < most) {
    // An empty `old` is found in front of each character, and at the end.
    const size_t found = old.empty() ? 0 : Find(text, old);
    if (found == std::string_view::npos) break;
    out.append(text.substr(0, found)).append(replacement);
    text.remove_prefix(found + old.size());
    ++done;
    if (out.size() > max_bytes) return std::nullopt;
    if (!old.empty()) continue;
    if (text.empty()) break;
    out.append(FirstCharacter(text));
    text.remove_prefix(FirstCharacter(text).size());
  }
  out.append(text);
  if (out.size() > max_bytes) return std::nullopt;
  return out;
}

size_t Find(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

SliceRange ResolveSlice(int64_t length, std::optional<int64_t> start, std::optional<int64_t> stop,
                        int64_t step) {
  const int64_t lowest = step < 0 ? -1 : 0;
  const int64_t highest = step < 0 ? length - 1 : length;
  const auto clamp = [&](int64_t index) {
    // index + length cannot overflow: it is negative.
    return std::clamp(index < 0 ? index + length : index, lowest, highest);
  };
  const int64_t first = start ? clamp(*start) : (step < 0 ? highest : lowest);
  const int64_t last = stop ? clamp(*stop) : (step < 0 ? lowest : highest);
  const int64_t span = step < 0 ? first - last : last - first;
  if (span <= 0) return {.first = first, .step = step, .count = 0};
  // Of a step as large as INT64_MIN the negative does not exist; only its size counts.
  const uint64_t size =
      step < 0 ? uint64_t{0} - static_cast<uint64_t>(step) : static_cast<uint64_t>(step);
  const auto count = static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / size + 1);
  return {.first = first, .step = step, .count = count};
}

}  // namespace stocha::jinja
