#include "stocha/model/case_folding.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace stocha {
namespace {

constexpr char32_t kLongS = 0x17F;        // folds to s
constexpr char32_t kKelvinSign = 0x212A;  // folds to k

// Everything beyond ASCII that may have a case; a generous bound, made of whole categories.
const CodePointSet& FoldableBeyondAscii() {
  static const CodePointSet set = [] {
    CodePointSet foldable;
    for (const char* category : {"L", "Mn", "Nl", "So"}) {
      foldable = foldable.Union(*CategorySet(category));
    }
    const CodePointSet known({{0, 0x7F}, {kLongS, kLongS}, {kKelvinSign, kKelvinSign}});
    return foldable.Intersection(known.Complement());
  }();
  return set;
}

}  // namespace

std::optional<CodePointSet> IgnoreCase(const CodePointSet& set) {
  if (!set.Intersection(FoldableBeyondAscii()).empty()) return std::nullopt;
  std::vector<CodePointRange> variants;
  for (char32_t lower = 'a'; lower <= 'z'; ++lower) {
    std::vector<char32_t> equals = {lower, lower - 'a' + 'A'};
    if (lower == 's') equals.push_back(kLongS);
    if (lower == 'k') equals.push_back(kKelvinSign);
    if (std::none_of(equals.begin(), equals.end(), [&](char32_t c) { return set.Contains(c); })) {
      continue;
    }
    for (const char32_t c : equals) variants.push_back({c, c});
  }
  return set.Union(CodePointSet(std::move(variants)));
}

bool FoldsToLigature(char32_t first, char32_t second) {
  const auto lower = [](char32_t c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
  for (const std::string_view ligature : {"ff", "fi", "fl", "ss", "st"}) {
    if (lower(first) == static_cast<char32_t>(ligature[0]) &&
        lower(second) == static_cast<char32_t>(ligature[1])) {
      return true;
    }
  }
  return false;
}

}  // namespace stocha
