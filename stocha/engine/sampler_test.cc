#include "stocha/engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// The next column of a line of testdata/sampler.txt.
std::vector<double> ReadColumn(std::istringstream& line) {
  std::string column;
  std::getline(line, column, '|');
  std::istringstream numbers(column);
  std::vector<double> values;
  for (double value = 0; numbers >> value;) values.push_back(value);
  return values;
}

// The table is made by transformers (tools/generate_sampler_table.py).
TEST(SamplerTest, DrawsFromWhatTransformersDrawsFrom) {
  std::ifstream table(STOCHA_ENGINE_TESTDATA "/sampler.txt");
  int cases = 0;
  for (std::string text; std::getline(table, text); ++cases) {
    std::istringstream line(text);
    const std::vector<double> options = ReadColumn(line);
    const std::vector<double> seen = ReadColumn(line);
    const std::vector<double> numbers = ReadColumn(line);
    const std::vector<double> expected = ReadColumn(line);
    const std::vector<float> logits(numbers.begin(), numbers.end());
    Sampler sampler({.temperature = options[0],
                     .top_k = static_cast<int64_t>(options[1]),
                     .top_p = options[2],
                     .min_p = options[3],
                     .repetition_penalty = options[4]},
                    0, static_cast<int64_t>(logits.size()));
    for (const double id : seen) sampler.Accept(static_cast<int32_t>(id));
    std::vector<double> got(logits.size(), 0);
    double total = 0;
    for (const Candidate& candidate : sampler.Candidates(logits)) {
      got[candidate.id] = candidate.weight;
      total += candidate.weight;
    }
    for (size_t id = 0; id < got.size(); ++id) {
      EXPECT_NEAR(got[id] / total, expected[id], 1e-6) << "case " << cases << ", id " << id;
      EXPECT_EQ(got[id] == 0, expected[id] == 0) << "case " << cases << ", id " << id;
    }
  }
  EXPECT_EQ(cases, 14);
}

TEST(SamplerTest, GreedyTakesTheFirstOfTheLikeliestAfterThePenalty) {
  const std::vector<float> logits = {-1, 3, 2.5, 3, -4};
  Sampler plain({}, 0, 5);
  EXPECT_EQ(plain.Sample(logits, 0), 1);
  Sampler penalized({.repetition_penalty = 1.5}, 0, 5);
  penalized.Accept(1);
  EXPECT_EQ(penalized.Sample(logits, 0), 3);
  penalized.Accept(3);
  EXPECT_EQ(penalized.Sample(logits, 0), 2);
}

TEST(SamplerTest, DrawsAsOftenAsTheProbabilitySays) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.15F),
                                     std::log(0.05F)};
  constexpr int kDraws = 20000;
  Sampler sampler({.temperature = 1}, 99, 4);
  std::map<int32_t, int> counts;
  for (int position = 0; position < kDraws; ++position) {
    ++counts[sampler.Sample(logits, position)];
  }
  for (size_t id = 0; id < logits.size(); ++id) {
    const double p = std::exp(logits[id]);
    const double sigma = std::sqrt(kDraws * p * (1 - p));
    EXPECT_NEAR(counts[static_cast<int32_t>(id)], kDraws * p, 4 * sigma);
  }
}

// The draw is a pure function of seed and position.
TEST(SamplerTest, SeedAndPositionAloneDecide) {
  const std::vector<float> logits(50, 0);
  const auto draw = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1}, seed, 50);
    std::vector<int32_t> ids;
    ids.reserve(40);
    for (int64_t position = 0; position < 40; ++position) {
      ids.push_back(sampler.Sample(logits, position));
    }
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  Sampler sampler({.temperature = 1}, 1, 50);
  EXPECT_EQ(sampler.Sample(logits, 17), draw(1)[17]);
}

TEST(SamplerTest, LogitsThatAreNoNumbersAreAnError) {
  Sampler greedy({}, 0, 2);
  Sampler random({.temperature = 1}, 0, 2);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> logits = {1, bad};
    EXPECT_THROW(greedy.Sample(logits, 0), Error);
    EXPECT_THROW(random.Sample(logits, 0), Error);
  }
}

TEST(SamplerTest, ExtremeButFiniteLogitsAreDrawnFrom) {
  const std::vector<float> logits = {-3e38F, 3e38F, 0};
  Sampler sampler({.temperature = 1e-30, .top_k = 2, .top_p = 0.5, .min_p = 0.5}, 0, 3);
  EXPECT_EQ(sampler.Sample(logits, 0), 1);
}

TEST(SamplerTest, OptionsOutOfRangeAreUsageErrors) {
  const double nan = std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<SamplerOptions, const char*>> cases = {
      {{.temperature = -0.1}, "temperature: value out of range: got -0.1"},
      {{.temperature = nan}, "temperature"},
      {{.temperature = inf}, "temperature"},
      {{.top_k = -1}, "top-k"},
      {{.top_p = 0}, "top-p"},
      {{.top_p = 1.01}, "top-p"},
      {{.top_p = nan}, "top-p"},
      {{.min_p = -0.1}, "min-p"},
      {{.min_p = 1.1}, "min-p"},
      {{.repetition_penalty = 0}, "repetition-penalty"},
      {{.repetition_penalty = nan}, "repetition-penalty"},
  };
  for (const auto& [options, message] : cases) {
    try {
      ValidateSamplerOptions(options);
      ADD_FAILURE() << message;
    } catch (const UsageError& error) {
      EXPECT_EQ(std::string(error.what()).find(message), 0U) << error.what();
    }
  }
}

}  // namespace
}  // namespace stocha
