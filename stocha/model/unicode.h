// Sets of code points, and what the tokenizer knows of Unicode: general categories and the data of
// canonical composition, out of one generated table (unicode_table.inc says which versions).
#ifndef STOCHA_MODEL_UNICODE_H_
#define STOCHA_MODEL_UNICODE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace stocha {

inline constexpr char32_t kMaxCodePoint = 0x10FFFF;

struct CodePointRange {
  char32_t first;
  char32_t last;  // included

  friend bool operator==(const CodePointRange&, const CodePointRange&) = default;
};

// A set of code points as sorted ranges that neither overlap nor touch.
class CodePointSet {
 public:
  CodePointSet() = default;
  explicit CodePointSet(std::vector<CodePointRange> ranges);  // in any order, may overlap

  CodePointSet Union(const CodePointSet& other) const;
  CodePointSet Intersection(const CodePointSet& other) const;
  CodePointSet Complement() const;

  bool Contains(char32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<CodePointRange>& ranges() const { return ranges_; }

  friend bool operator==(const CodePointSet&, const CodePointSet&) = default;

 private:
  std::vector<CodePointRange> ranges_;
};

// A small number for every code point, looked up in two steps.
class CodePointMap {
 public:
  struct Run {
    char32_t first;  // up to the first of the next run
    uint8_t value;
  };

  explicit CodePointMap(std::span<const Run> runs);  // sorted; the first begins at 0
  explicit CodePointMap(const CodePointSet& set);    // 1 for its members, else 0
  uint8_t operator[](char32_t code_point) const {
    return pages_[page_of_[code_point >> 8]][code_point & 0xFF];
  }

 private:
  using Page = std::array<uint8_t, 256>;
  std::vector<uint16_t> page_of_;  // [0x1100], index into pages_
  std::vector<Page> pages_;        // all different
};

// The code points of a general category by its short name: "L", "Lu", "N" ... nullopt: no such
// name.
std::optional<CodePointSet> CategorySet(std::string_view name);

// The property White_Space: what \s means to `tokenizers`.
const CodePointSet& WhiteSpaceSet();
// Letters, marks, decimal digits, letter numbers, connectors and circled letters: what \w means.
const CodePointSet& WordSet();

// 0 for characters that are not reordered.
uint8_t CombiningClass(char32_t code_point);
CodePointSet ReorderedSet();  // of class other than 0

// One step of canonical decomposition; Hangul syllables, which follow a formula, are not listed.
struct Decomposition {
  char32_t code_point;
  char32_t first;
  char32_t second;  // 0: the decomposition is `first` alone
};
std::span<const Decomposition> Decompositions();    // sorted by code_point
std::span<const char32_t> CompositionExclusions();  // sorted

}  // namespace stocha

#endif  // STOCHA_MODEL_UNICODE_H_
