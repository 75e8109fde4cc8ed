#include "stocha/model/nfc.h"

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "stocha/base/utf8.h"
#include "stocha/model/unicode.h"

namespace stocha {
namespace {

// Hangul syllables are composed by formula (The Unicode Standard, 3.12): LV = L + V, LVT = LV + T.
constexpr char32_t kSyllableBase = 0xAC00;
constexpr char32_t kLeadBase = 0x1100;
constexpr char32_t kVowelBase = 0x1161;
constexpr char32_t kTrailBase = 0x11A7;  // one before the first: no trail
constexpr char32_t kLeadCount = 19;
constexpr char32_t kVowelCount = 21;
constexpr char32_t kTrailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTrailCount;

// Whether base <= c < base + count.
constexpr bool InBlock(char32_t c, char32_t base, char32_t count) { return c - base < count; }

uint64_t PairKey(char32_t first, char32_t second) { return uint64_t{first} << 32 | second; }

class Nfc {
 public:
  Nfc();
  std::string Normalize(std::string_view text) const;

 private:
  void Decompose(char32_t code_point, std::u32string* out) const;
  char32_t Compose(char32_t first, char32_t second) const;  // 0: they do not compose
  CodePointSet FindJoiners() const;
  void NormalizeSegment(std::string_view segment, std::string* out) const;

  std::unordered_map<char32_t, Decomposition> decompositions_;
  std::unordered_map<uint64_t, char32_t> compositions_;
  // 1 for what may change or join what stands before it: the text can be cut in front of all
  // others.
  std::optional<CodePointMap> joins_;
};

Nfc::Nfc() {
  for (const Decomposition& entry : Decompositions()) {
    decompositions_[entry.code_point] = entry;
    compositions_[PairKey(entry.first, entry.second)] = entry.code_point;
  }
  for (const char32_t excluded : CompositionExclusions()) {
    const Decomposition& entry = decompositions_.at(excluded);
    compositions_.erase(PairKey(entry.first, entry.second));
  }
  joins_.emplace(FindJoiners());
}

CodePointSet Nfc::FindJoiners() const {
  std::vector<CodePointRange> ranges = {{kVowelBase, kVowelBase + kVowelCount - 1},
                                        {kTrailBase + 1, kTrailBase + kTrailCount - 1}};
  for (const char32_t excluded : CompositionExclusions()) ranges.push_back({excluded, excluded});
  for (const auto& [pair, composed] : compositions_) {
    const auto second = static_cast<char32_t>(pair);
    ranges.push_back({second, second});
  }
  const CodePointSet direct = CodePointSet(std::move(ranges)).Union(ReorderedSet());
  // What decomposes may come to begin with one of these.
  std::vector<CodePointRange> indirect;
  for (const auto& [code_point, entry] : decompositions_) {
    std::u32string parts;
    Decompose(code_point, &parts);
    if (direct.Contains(parts[0])) indirect.push_back({code_point, code_point});
  }
  return direct.Union(CodePointSet(std::move(indirect)));
}

std::string Nfc::Normalize(std::string_view text) const {
  std::string out;
  size_t copied = 0;    // text before this is in `out`
  size_t cut = 0;       // the last place where the text can be cut
  bool joined = false;  // something since `cut` joins
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    if ((*joins_)[step.code_point] != 0) {
      joined = true;
    } else {
      if (joined) {
        out.append(text, copied, cut - copied);
        NormalizeSegment(text.substr(cut, at - cut), &out);
        copied = at;
        joined = false;
      }
      cut = at;
    }
    at += step.length;
  }
  if (!joined) cut = text.size();
  out.append(text, copied, cut - copied);
  NormalizeSegment(text.substr(cut), &out);
  return out;
}

void Nfc::Decompose(char32_t code_point, std::u32string* out) const {
  if (InBlock(code_point, kSyllableBase, kSyllableCount)) {
    const char32_t index = code_point - kSyllableBase;
    const char32_t trail = index % kTrailCount;
    out->push_back(kLeadBase + index / (kVowelCount * kTrailCount));
    out->push_back(kVowelBase + index / kTrailCount % kVowelCount);
    if (trail != 0) out->push_back(kTrailBase + trail);
    return;
  }
  const auto found = decompositions_.find(code_point);
  if (found == decompositions_.end()) {
    out->push_back(code_point);
    return;
  }
  Decompose(found->second.first, out);
  if (found->second.second != 0) out->push_back(found->second.second);
}

char32_t Nfc::Compose(char32_t first, char32_t second) const {
  if (InBlock(first, kLeadBase, kLeadCount) && InBlock(second, kVowelBase, kVowelCount)) {
    return kSyllableBase +
           ((first - kLeadBase) * kVowelCount + (second - kVowelBase)) * kTrailCount;
  }
  if (InBlock(first, kSyllableBase, kSyllableCount) &&
      InBlock(second, kTrailBase + 1, kTrailCount - 1) &&
      (first - kSyllableBase) % kTrailCount == 0) {
    return first + (second - kTrailBase);
  }
  const auto found = compositions_.find(PairKey(first, second));
  return found == compositions_.end() ? 0 : found->second;
}

void Nfc::NormalizeSegment(std::string_view segment, std::string* out) const {
  std::u32string decomposed;
  for (; !segment.empty(); segment.remove_prefix(DecodeUtf8(segment).length)) {
    Decompose(DecodeUtf8(segment).code_point, &decomposed);
  }
  // Canonical order: marks between two starters by class, those of one class as they stood.
  std::u32string ordered;
  std::map<uint8_t, std::u32string> marks;
  decomposed.push_back(0);  // a starter, which flushes the last marks
  for (const char32_t c : decomposed) {
    const uint8_t combining_class = CombiningClass(c);
    if (combining_class != 0) {
      marks[combining_class].push_back(c);
      continue;
    }
    for (const auto& [unused, of_class] : marks) ordered += of_class;
    marks.clear();
    ordered.push_back(c);
  }
  ordered.pop_back();
  // A character joins the last starter unless one of its class or a higher stands between them.
  std::u32string composed;
  size_t starter = std::u32string::npos;
  for (const char32_t c : ordered) {
    const uint8_t combining_class = CombiningClass(c);
    const bool adjacent = starter + 1 == composed.size();
    if (starter != std::u32string::npos &&
        (adjacent || CombiningClass(composed.back()) < combining_class)) {
      if (const char32_t both = Compose(composed[starter], c); both != 0) {
        composed[starter] = both;
        continue;
      }
    }
    if (combining_class == 0) starter = composed.size();
    composed.push_back(c);
  }
  for (const char32_t c : composed) AppendUtf8(c, out);
}

}  // namespace

std::string NormalizeNfc(std::string_view text) {
  static const Nfc nfc;
  return nfc.Normalize(text);
}

}  // namespace stocha
