#include "stocha/eval/answer.h"

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "stocha/eval/text.h"

namespace stocha {
namespace {

bool IsPunctuation(char32_t code_point) {
  constexpr std::u32string_view kPunctuation = U"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  return kPunctuation.find(code_point) != std::u32string_view::npos;
}

// Articles become spaces: re.sub(r"\b(a|an|the)\b", " ", text).
std::u32string WithoutArticles(const std::u32string& text) {
  std::u32string out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && IsWord(text[end])) ++end;
    if (end == begin) {
      out += text[begin++];
      continue;
    }
    const std::u32string word = text.substr(begin, end - begin);
    const bool article = word == U"a" || word == U"an" || word == U"the";
    out += article ? U" " : word;
    begin = end;
  }
  return out;
}

std::vector<std::u32string> NormalizedWords(std::string_view text) {
  std::u32string kept;
  for (const char32_t code_point : ToCodePoints(text)) {
    if (!IsPunctuation(code_point)) kept += ToLower(code_point);
  }
  return SplitWords(WithoutArticles(kept));
}

double F1(const std::vector<std::u32string>& prediction,
          const std::vector<std::u32string>& answer) {
  std::map<std::u32string_view, int64_t> left;
  for (const std::u32string& word : answer) ++left[word];
  int64_t common = 0;
  for (const std::u32string& word : prediction) {
    const auto found = left.find(word);
    if (found == left.end() || found->second == 0) continue;
    --found->second;
    ++common;
  }
  if (common == 0) return 0;
  const double precision = static_cast<double>(common) / static_cast<double>(prediction.size());
  const double recall = static_cast<double>(common) / static_cast<double>(answer.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

std::string NormalizeAnswer(std::string_view text) {
  std::string out;
  for (const std::u32string& word : NormalizedWords(text)) {
    if (!out.empty()) out += ' ';
    out += ToUtf8(word);
  }
  return out;
}

AnswerScore ScoreAnswer(std::string_view prediction, std::span<const std::string> answers) {
  const std::vector<std::u32string> words = NormalizedWords(prediction);
  AnswerScore best;
  for (const std::string& answer : answers) {
    const std::vector<std::u32string> accepted = NormalizedWords(answer);
    best.exact = best.exact || words == accepted;
    best.f1 = std::max(best.f1, F1(words, accepted));
  }
  return best;
}

size_t MajorityAnswer(std::span<const std::string> samples) {
  struct Group {
    size_t first;
    int64_t count;
  };
  std::map<std::string, Group> groups;
  for (size_t i = 0; i < samples.size(); ++i) {
    ++groups.try_emplace(NormalizeAnswer(samples[i]), Group{i, 0}).first->second.count;
  }
  Group best = {samples.size(), 0};
  for (const auto& [answer, group] : groups) {
    const bool earlier = group.count == best.count && group.first < best.first;
    if (group.count > best.count || earlier) best = group;
  }
  return best.first;
}

double ExpectedBest(std::span<const double> values, int64_t k) {
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted, std::greater<>());
  const auto n = static_cast<double>(sorted.size());
  // With the i largest not among the k taken, the next one is the best with probability
  // k / (n - i); that they are not has probability C(n - i, k) / C(n, k).
  double none_larger = 1;
  double expected = 0;
  for (size_t i = 0; i < sorted.size() && none_larger > 0; ++i) {
    const double left = n - static_cast<double>(i);
    const double taken = std::min(1.0, static_cast<double>(k) / left);
    expected += none_larger * taken * sorted[i];
    none_larger *= 1 - taken;
  }
  return expected;
}

}  // namespace stocha
