#include "stocha/bench/measure.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/bench/ffn_walk.h"
#include "stocha/bench/shape.h"
#include "stocha/bench/synthetic.h"
#include "stocha/bench/thresholds.h"

namespace stocha {
namespace {

class MeasureTest : public ::testing::Test {
 protected:
  MeasureTest()
      : config_(ParseShape("128,512,2,4,2,300", "test")),
        synthetic_(config_, QuantizeType::kQ8_0, FfnLayout::kNeurons, pool_),
        model_(synthetic_.MakeModel({1.25F, 1.25F})) {
    options_.modes = {FfnMode::kDense, FfnMode::kExact, FfnMode::kScreened};
    options_.activation = config_.activation;
    options_.prompt_tokens = 6;
    options_.gen_tokens = 4;
    options_.rounds = 2;
    options_.walk_seconds = 0;
    options_.read_bandwidth = [] { return 1e9; };
  }

  std::vector<ModeFigures> Run() {
    return Measure(model_, RandomTokens(config_, TokensNeeded(options_), 3), options_, pool_,
                   [](const std::string&, double) {});
  }

  ThreadPool pool_{2};
  ModelConfig config_;
  SyntheticModel synthetic_;
  Model model_;
  MeasureOptions options_;
};

TEST(SamplesTest, MedianIsTheMiddle) {
  EXPECT_EQ((Samples{{3, 1, 2}}.Median()), 2);
  EXPECT_EQ((Samples{{4, 1, 2, 3}}.Median()), 2.5);
  EXPECT_EQ((Samples{{4, 1, 2, 3}}.Min()), 1);
  EXPECT_EQ((Samples{{4, 1, 2, 3}}.Max()), 4);
}

TEST_F(MeasureTest, EveryModeHasAFigureOfEveryRound) {
  const std::vector<ModeFigures> modes = Run();
  ASSERT_EQ(modes.size(), 3U);
  for (size_t i = 0; i < modes.size(); ++i) {
    EXPECT_EQ(modes[i].mode, options_.modes[i]);
    for (const Samples* samples : {&modes[i].decode_tokens_per_s, &modes[i].prefill_tokens_per_s,
                                   &modes[i].ffn_us_per_token}) {
      EXPECT_EQ(samples->values.size(), 2U);
      EXPECT_GT(samples->Min(), 0);
    }
  }
}

// Dense reads everything once a token; the others less, and the same neurons fire in exact.
TEST_F(MeasureTest, CountsBytesAndNeurons) {
  const std::vector<ModeFigures> modes = Run();
  const ModeFigures& dense = modes[0];
  const int row = 128 + 128 / 32 * 2;                        // q8_0, in planes too
  const double ffn = 2 * 512 * 3 * row;                      // layers, neurons, gate up down
  const double attention = 2 * (128 + 64 + 64 + 128) * row;  // query, key, value, output
  const double cache = 2 * 2 * 64 * 4 * (6 + 2.5);           // keys and values, f32, positions
  EXPECT_DOUBLE_EQ(dense.ffn_bytes_per_token, ffn);
  EXPECT_DOUBLE_EQ(dense.bytes_per_token, ffn + attention + 300 * row + cache);
  EXPECT_LT(modes[1].bytes_per_token, dense.bytes_per_token);
  EXPECT_LT(modes[2].bytes_per_token, modes[1].bytes_per_token);
  EXPECT_EQ(modes[1].active_fraction, dense.active_fraction);
  EXPECT_EQ(modes[1].ffn_fired_per_token, dense.ffn_fired_per_token);
  EXPECT_GT(dense.active_fraction[1], 0.05);
  EXPECT_LT(dense.active_fraction[1], 0.2);
}

TEST_F(MeasureTest, ABatchSharesWhatItReads) {
  options_.batch = 3;
  options_.modes = {FfnMode::kDense};
  const double together = Run().front().bytes_per_token;
  options_.batch = 1;
  EXPECT_LT(together, Run().front().bytes_per_token * 0.6);
}

TEST_F(MeasureTest, EndsWhenToldTo) {
  const std::vector<int32_t> ids = RandomTokens(config_, TokensNeeded(options_), 3);
  const auto stop = [](const std::string&, double fraction) {
    if (fraction > 0.5) throw Error({.what = "interrupted"});
  };
  EXPECT_THROW(Measure(model_, ids, options_, pool_, stop), Error);
}

// A prefill may take minutes.
TEST_F(MeasureTest, IsHeardBetweenTheLayersOfAPrefill) {
  options_.modes = {FfnMode::kDense};
  options_.prompt_tokens = 3 * kPassTokens;
  options_.rounds = 1;
  const std::vector<int32_t> ids = RandomTokens(config_, TokensNeeded(options_), 3);
  std::map<std::string, int> heard;
  Measure(model_, ids, options_, pool_, [&](const std::string& doing, double) { ++heard[doing]; });
  EXPECT_GE(heard["dense prefill"], 3 * config_.num_hidden_layers);
  EXPECT_GE(heard["warming up"], 2 * config_.num_hidden_layers);

  int left = 3;  // ends within the first pass of the prefill
  const auto stop = [&left](const std::string& doing, double) {
    if (doing == "dense prefill" && --left == 0) throw Error({.what = "interrupted"});
  };
  EXPECT_THROW(Measure(model_, ids, options_, pool_, stop), Error);
  EXPECT_EQ(left, 0);
}

// What the walk computes is what the model computes: the same neurons fire.
TEST_F(MeasureTest, TheWalkRepeatsThePassesItRecorded) {
  Workspace workspace(config_, &pool_, {});
  const std::vector<int32_t> ids = RandomTokens(config_, 5, 3);
  KvCache cache(config_, 5);
  FfnRecording recording(config_, workspace);
  const Step step = {.cache = &cache,
                     .tokens = ids,
                     .activation = config_.activation,
                     .wanted = LogitsWanted::kNone};
  model_.Forward({&step, 1}, workspace);
  recording.Stop();
  const std::vector<LayerStats> expected = workspace.stats;
  workspace.stats.assign(expected.size(), {});
  ASSERT_EQ(recording.passes(), 1);
  ASSERT_EQ(recording.tokens(0), 5);
  std::vector<float> out(static_cast<size_t>(config_.hidden_size));
  WalkFfn(model_, recording, 0, config_.activation, workspace, out.data());
  for (size_t layer = 0; layer < expected.size(); ++layer) {
    EXPECT_EQ(workspace.stats[layer].fired, expected[layer].fired);
    EXPECT_EQ(workspace.stats[layer].bytes, expected[layer].bytes);
  }
}

// Random weights again, so that what fires differs.
TEST_F(MeasureTest, DenseMayHaveAModelOfItsOwn) {
  const SyntheticModel rows(config_, QuantizeType::kQ8_0, FfnLayout::kRows, pool_);
  const Model dense = rows.MakeModel({1.25F, 1.25F});
  options_.modes = {FfnMode::kDense};
  const double shared = Run()[0].active_fraction[1];
  options_.dense_model = &dense;
  const std::vector<ModeFigures> modes = Run();
  EXPECT_NE(modes[0].active_fraction[1], shared);
  EXPECT_GT(modes[0].ffn_bytes_per_token, 0);
}

}  // namespace
}  // namespace stocha
