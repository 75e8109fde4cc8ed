#include "stocha/eval/diversity.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "stocha/base/edit_distance.h"
#include "stocha/eval/answer.h"
#include "stocha/eval/text.h"

namespace stocha {
namespace {

using Words = std::vector<std::u32string>;
// Words joined by spaces, and how often they stand in a text.
using Ngrams = std::map<std::u32string, int64_t>;

constexpr size_t kBleuOrder = 4;

Ngrams CountNgrams(const Words& words, size_t n) {
  Ngrams counts;
  for (size_t begin = 0; begin + n <= words.size(); ++begin) {
    std::u32string ngram;
    for (size_t i = 0; i < n; ++i) ngram += words[begin + i] + U' ';
    ++counts[ngram];
  }
  return counts;
}

double Distinct(const std::vector<Words>& samples, size_t n) {
  std::set<std::u32string> different;
  int64_t all = 0;
  for (const Words& words : samples) {
    for (const auto& [ngram, count] : CountNgrams(words, n)) {
      different.insert(ngram);
      all += count;
    }
  }
  return all == 0 ? 0 : static_cast<double>(different.size()) / static_cast<double>(all);
}

// BLEU of each sample against all the others.
class SelfBleu {
 public:
  explicit SelfBleu(const std::vector<Words>& samples) : samples_(samples) {
    for (size_t order = 0; order < kBleuOrder; ++order) {
      for (size_t i = 0; i < samples.size(); ++i) {
        counts_[order].push_back(CountNgrams(samples[i], order + 1));
        for (const auto& [ngram, count] : counts_[order][i]) largest_[order][ngram].Add(count, i);
      }
    }
  }

  double Of(size_t sample) const {
    const size_t length = samples_[sample].size();
    double smooth = 1;
    double log_sum = 0;
    size_t orders = 0;
    int64_t matched = 0;
    for (; orders < std::min(kBleuOrder, length); ++orders) {
      const auto total = static_cast<double>(length - orders);
      const int64_t common = Common(sample, orders);
      matched += common;
      if (common == 0) smooth *= 2;
      log_sum += std::log((common == 0 ? 1 / smooth : static_cast<double>(common)) / total);
    }
    if (matched == 0) return 0;
    const auto reference = static_cast<double>(ClosestLength(sample));
    const double brevity = std::min(0.0, 1 - reference / static_cast<double>(length));
    return std::exp(brevity + log_sum / static_cast<double>(orders));
  }

 private:
  // The two largest counts of an n-gram, and which sample has the larger.
  struct Largest {
    int64_t first = 0;
    int64_t second = 0;
    size_t owner = 0;

    void Add(int64_t count, size_t sample) {
      if (count > first) {
        second = first;
        first = count;
        owner = sample;
      } else {
        second = std::max(second, count);
      }
    }
  };

  // n-grams of the sample that another one has as well, each as often as the others have it.
  int64_t Common(size_t sample, size_t order) const {
    int64_t common = 0;
    for (const auto& [ngram, count] : counts_[order][sample]) {
      const Largest& largest = largest_[order].at(ngram);
      common += std::min(count, largest.owner == sample ? largest.second : largest.first);
    }
    return common;
  }

  // The other sample's length that is closest; of two the shorter.
  size_t ClosestLength(size_t sample) const {
    const auto distance = [&](size_t length) {
      return std::abs(static_cast<int64_t>(length) - static_cast<int64_t>(samples_[sample].size()));
    };
    size_t closest = samples_[sample == 0 ? 1 : 0].size();
    for (size_t i = 0; i < samples_.size(); ++i) {
      const size_t length = samples_[i].size();
      if (i == sample) continue;
      const bool shorter = distance(length) == distance(closest) && length < closest;
      if (distance(length) < distance(closest) || shorter) closest = length;
    }
    return closest;
  }

  const std::vector<Words>& samples_;
  std::array<std::vector<Ngrams>, kBleuOrder> counts_;  // [order][sample]
  std::array<std::map<std::u32string, Largest>, kBleuOrder> largest_;
};

double MeanEditDistance(std::span<const std::string> samples) {
  std::vector<std::u32string> texts;
  for (const std::string& sample : samples) texts.push_back(ToCodePoints(sample));
  double sum = 0;
  int64_t pairs = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < i; ++j, ++pairs) {
      const size_t longer = std::max(texts[i].size(), texts[j].size());
      if (longer == 0) continue;
      sum += static_cast<double>(EditDistance<char32_t>(texts[i], texts[j])) /
             static_cast<double>(longer);
    }
  }
  return sum / static_cast<double>(pairs);
}

}  // namespace

Diversity MeasureDiversity(std::span<const std::string> samples) {
  std::vector<Words> words;
  std::set<std::string> answers;
  for (const std::string& sample : samples) {
    words.push_back(SplitWords(sample));
    answers.insert(NormalizeAnswer(sample));
  }
  Diversity diversity;
  for (size_t i = 0; i < diversity.distinct.size(); ++i) {
    diversity.distinct[i] = Distinct(words, i + 1);
  }
  const SelfBleu bleu(words);
  const auto count = static_cast<double>(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) diversity.self_bleu += bleu.Of(i) / count;
  diversity.edit_distance = MeanEditDistance(samples);
  diversity.unique = static_cast<double>(answers.size()) / count;
  return diversity;
}

Diversity MeanDiversity(std::span<const Diversity> prompts) {
  Diversity mean;
  const auto count = static_cast<double>(prompts.size());
  for (const Diversity& prompt : prompts) {
    for (size_t i = 0; i < mean.distinct.size(); ++i)
      mean.distinct[i] += prompt.distinct[i] / count;
    mean.self_bleu += prompt.self_bleu / count;
    mean.edit_distance += prompt.edit_distance / count;
    mean.unique += prompt.unique / count;
  }
  return mean;
}

}  // namespace stocha
