#include "stocha/model/unicode.h"

#include <algorithm>
#include <map>

namespace stocha {
namespace {

#include "stocha/model/unicode_table.inc"

// The order of the generated table.
constexpr std::array<std::string_view, 30> kCategoryNames = {
    "Cn", "Cc", "Cf", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl",
    "No", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"};

}  // namespace

CodePointSet::CodePointSet(std::vector<CodePointRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.first < b.first; });
  for (const CodePointRange& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePointSet CodePointSet::Union(const CodePointSet& other) const {
  std::vector<CodePointRange> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(std::move(all));
}

CodePointSet CodePointSet::Intersection(const CodePointSet& other) const {
  return Complement().Union(other.Complement()).Complement();
}

CodePointSet CodePointSet::Complement() const {
  CodePointSet gaps;
  char32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) gaps.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kMaxCodePoint) gaps.ranges_.push_back({next, kMaxCodePoint});
  return gaps;
}

bool CodePointSet::Contains(char32_t code_point) const {
  const auto after = std::upper_bound(
      ranges_.begin(), ranges_.end(), code_point,
      [](char32_t value, const CodePointRange& range) { return value < range.first; });
  return after != ranges_.begin() && code_point <= std::prev(after)->last;
}

CodePointMap::CodePointMap(std::span<const Run> runs) {
  std::map<Page, uint16_t> known;
  size_t run = 0;
  Page page;
  for (char32_t code = 0; code <= kMaxCodePoint; ++code) {
    if (run + 1 < runs.size() && runs[run + 1].first == code) ++run;
    page[code & 0xFF] = runs[run].value;
    if ((code & 0xFF) != 0xFF) continue;
    const auto [entry, added] = known.try_emplace(page, static_cast<uint16_t>(pages_.size()));
    if (added) pages_.push_back(page);
    page_of_.push_back(entry->second);
  }
}

CodePointMap::CodePointMap(const CodePointSet& set)
    : CodePointMap([&set] {
        std::vector<Run> runs = {{0, 0}};
        for (const CodePointRange& range : set.ranges()) {
          if (range.first == 0) runs.clear();
          runs.push_back({range.first, 1});
          runs.push_back({range.last + 1, 0});
        }
        return runs;
      }()) {}

std::optional<CodePointSet> CategorySet(std::string_view name) {
  std::vector<CodePointRange> ranges;
  bool known = false;
  for (const std::string_view category : kCategoryNames) {
    known = known || name == category || name == category.substr(0, 1);
  }
  if (!known) return std::nullopt;
  const std::span<const uint32_t> starts = kCategoryStarts;
  for (size_t i = 0; i < starts.size(); ++i) {
    if (!kCategoryNames[starts[i] & 31].starts_with(name)) continue;
    const char32_t end = i + 1 < starts.size() ? starts[i + 1] >> 5 : kMaxCodePoint + 1;
    ranges.push_back({starts[i] >> 5, end - 1});
  }
  return CodePointSet(std::move(ranges));
}

const CodePointSet& WhiteSpaceSet() {
  static const CodePointSet set({{0x09, 0x0D},
                                 {0x20, 0x20},
                                 {0x85, 0x85},
                                 {0xA0, 0xA0},
                                 {0x1680, 0x1680},
                                 {0x2000, 0x200A},
                                 {0x2028, 0x2029},
                                 {0x202F, 0x202F},
                                 {0x205F, 0x205F},
                                 {0x3000, 0x3000}});
  return set;
}

const CodePointSet& WordSet() {
  static const CodePointSet set = [] {
    CodePointSet word(
        {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}});
    for (const char* category : {"L", "M", "Nd", "Nl", "Pc"}) {
      word = word.Union(*CategorySet(category));
    }
    return word;
  }();
  return set;
}

uint8_t CombiningClass(char32_t code_point) {
  const std::span<const uint32_t> starts = kCombiningClassStarts;
  const uint32_t key = code_point << 8 | 0xFF;
  return static_cast<uint8_t>(*std::prev(std::upper_bound(starts.begin(), starts.end(), key)));
}

CodePointSet ReorderedSet() {
  std::vector<CodePointRange> ranges;
  const std::span<const uint32_t> starts = kCombiningClassStarts;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {  // the last run, of class 0, has no end
    if ((starts[i] & 0xFF) != 0) ranges.push_back({starts[i] >> 8, (starts[i + 1] >> 8) - 1});
  }
  return CodePointSet(std::move(ranges));
}

std::span<const Decomposition> Decompositions() { return kDecompositions; }

std::span<const char32_t> CompositionExclusions() { return kCompositionExclusions; }

}  // namespace stocha
