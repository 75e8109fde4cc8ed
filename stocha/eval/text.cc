#include "stocha/eval/text.h"

#include <algorithm>
#include <iterator>

#include "stocha/base/utf8.h"
#include "stocha/model/unicode.h"

namespace stocha {
namespace {

// Every `step`-th code point from first to last is lowered by adding `difference`.
struct LowercaseRun {
  char32_t first;
  char32_t last;
  char32_t step;
  int32_t difference;
};

constexpr LowercaseRun kLowercase[] = {
#include "stocha/eval/lowercase.inc"
};

}  // namespace

std::u32string ToCodePoints(std::string_view text) {
  std::u32string code_points;
  code_points.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    code_points += step.code_point;
    text.remove_prefix(step.length);
  }
  return code_points;
}

std::string ToUtf8(std::u32string_view text) {
  std::string bytes;
  for (const char32_t code_point : text) AppendUtf8(code_point, &bytes);
  return bytes;
}

char32_t ToLower(char32_t code_point) {
  const LowercaseRun* run =
      std::ranges::lower_bound(kLowercase, code_point, {}, &LowercaseRun::last);
  if (run == std::end(kLowercase) || code_point < run->first) return code_point;
  if ((code_point - run->first) % run->step != 0) return code_point;
  return code_point + static_cast<char32_t>(run->difference);
}

bool IsSpace(char32_t code_point) {
  static const CodePointMap kWhiteSpace(WhiteSpaceSet());
  // Separators of files, groups, records and units, which the property leaves out.
  if (code_point >= 0x1C && code_point <= 0x1F) return true;
  return kWhiteSpace[code_point] != 0;
}

bool IsWord(char32_t code_point) {
  static const CodePointMap kWord(CategorySet("L")->Union(*CategorySet("N")));
  return code_point == U'_' || kWord[code_point] != 0;
}

std::vector<std::u32string> SplitWords(std::u32string_view text) {
  std::vector<std::u32string> words;
  bool within = false;
  for (const char32_t code_point : text) {
    const bool space = IsSpace(code_point);
    if (!space && !within) words.emplace_back();
    if (!space) words.back() += code_point;
    within = !space;
  }
  return words;
}

std::vector<std::u32string> SplitWords(std::string_view text) {
  return SplitWords(ToCodePoints(text));
}

std::string_view StripRight(std::string_view text) {
  size_t end = 0;  // behind the last character that is no space
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    at += step.length;
    if (!IsSpace(step.code_point)) end = at;
  }
  return text.substr(0, end);
}

std::string_view Strip(std::string_view text) {
  text = StripRight(text);
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    if (!IsSpace(step.code_point)) break;
    text.remove_prefix(step.length);
  }
  return text;
}

int64_t CountCodePoints(std::string_view text) {
  int64_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(DecodeUtf8(text).length);
  return count;
}

}  // namespace stocha
