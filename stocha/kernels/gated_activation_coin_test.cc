// The coins that every instruction set draws: known answers, frequency, mean, what shares one.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "stocha/kernels/gated_activation_testing.h"

namespace stocha {
namespace {

class GatedActivationCoinTest : public testing::TestWithParam<Isa> {};

// The table is computed in numpy by tools/generate_coin_table.py, which shares no code with this
// project's Philox and checks itself against the known answers of Philox's authors.
TEST_P(GatedActivationCoinTest, KnownAnswers) {
  std::ifstream file(STOCHA_SOURCE_DIR "/stocha/model/testdata/coins.txt");
  ASSERT_TRUE(file.is_open());
  int checked = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream fields(line);
    CoinStream stream;
    uint32_t row = 0, neuron = 0, bits = 0;
    ASSERT_TRUE(fields >> stream.seed >> stream.layer >> stream.step >> row >> neuron >> bits);
    if (neuron >= 10000) continue;  // a row as long as that fits no memory
    for (const uint32_t threshold : {bits, bits + 1}) {
      GatedActivationCase<float> run({.kind = ActivationKind::kStochastic, .p_65536 = threshold}, 1,
                                     neuron + 1);
      run.stream = stream;
      run.first_row = row;
      run.FillForCoins();
      run.RunForward(GetParam());
      EXPECT_EQ(run.Fired(0, neuron), bits < threshold) << line;
    }
    ++checked;
  }
  EXPECT_GE(checked, 40);
}

TEST_P(GatedActivationCoinTest, EveryCoinIsTheScalarOneInForwardAndBackward) {
  GatedActivationCase<float> run(StochasticActivation(0.6), 9, 1021);
  run.stream = {.seed = 0xABCDEF0123456789, .layer = 11, .step = 12};
  run.first_row = 13;
  run.FillForCoins();
  run.grad_hidden.assign(run.grad_hidden.size(), 1);
  run.Run(GetParam());
  for (int64_t row = 0; row < run.rows; ++row) {
    for (int64_t neuron = 0; neuron < run.neurons; ++neuron) {
      const bool coin = Coin(run.activation, run.stream, run.first_row + static_cast<uint32_t>(row),
                             static_cast<uint32_t>(neuron));
      ASSERT_EQ(run.Fired(row, neuron), coin) << row << " " << neuron;
      ASSERT_EQ(run.GradUp(row, neuron) != 0, coin) << row << " " << neuron;
      ASSERT_EQ(run.GradGate(row, neuron) != 0, coin) << row << " " << neuron;
    }
  }
}

TEST_P(GatedActivationCoinTest, FrequencyIsPWithin4Sigma) {
  for (const double p : {0.001, 0.1, 0.5, 0.7, 0.999}) {
    GatedActivationCase<float> run(StochasticActivation(p), 50, 1021);
    run.stream.seed = 2024;
    run.FillForCoins();
    const GatedActivationStats stats = run.RunForward(GetParam());
    const double n = 50.0 * 1021;
    EXPECT_NEAR(static_cast<double>(stats.active), p * n, 4 * std::sqrt(n * p * (1 - p))) << p;
  }
}

TEST_P(GatedActivationCoinTest, SeedLayerStepAndRowEachDrawAnew) {
  const auto draw = [](const CoinStream& stream, uint32_t first_row) {
    GatedActivationCase<float> run(StochasticActivation(0.5), 1, 20000);
    run.stream = stream;
    run.first_row = first_row;
    run.FillForCoins();
    run.RunForward(GetParam());
    return run.hidden;
  };
  const std::vector<float> base = draw({}, 0);
  EXPECT_EQ(draw({}, 0), base);
  for (const auto& other : {draw({.seed = 1}, 0), draw({.seed = uint64_t{1} << 32}, 0),
                            draw({.layer = 1}, 0), draw({.step = 1}, 0), draw({}, 1)}) {
    int different = 0;
    for (size_t i = 0; i < base.size(); ++i) different += base[i] != other[i];
    EXPECT_NEAR(different, 10000, 4 * std::sqrt(20000 * 0.25));
  }
}

TEST_P(GatedActivationCoinTest, TheMeanOverSeedsApproachesExpected) {
  constexpr int kSeeds = 2000;
  GatedActivationCase<float> run(StochasticActivation(0.7), 1, 64);
  run.FillRandomly(4);
  std::vector<double> sum(64), grad_sum(64);
  for (int seed = 0; seed < kSeeds; ++seed) {
    run.stream.seed = static_cast<uint64_t>(seed);
    run.Run(GetParam());
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] += run.hidden[i];
      grad_sum[i] += run.grad_gate[i];
    }
  }
  GatedActivationCase<float> expected = run;
  expected.activation = ParseActivation("expected:0.7", "test");
  expected.Run(GetParam());
  for (size_t i = 0; i < sum.size(); ++i) {
    // A draw is hidden / p or 0: its deviation is |hidden| sqrt((1 - p) / p). 5 sigma: 128 values.
    const double sigmas = 5 * std::sqrt(0.3 / 0.7 / kSeeds);
    EXPECT_NEAR(sum[i] / kSeeds, expected.hidden[i],
                sigmas * std::abs(expected.hidden[i]) + 1e-6 * std::abs(expected.hidden[i]));
    EXPECT_NEAR(grad_sum[i] / kSeeds, expected.grad_gate[i],
                sigmas * std::abs(expected.grad_gate[i]) + 1e-6 * std::abs(expected.grad_gate[i]));
  }
}

TEST_P(GatedActivationCoinTest, GranularityDecidesWhatSharesACoin) {
  const auto active_rows = [](const char* activation, uint32_t step) {
    GatedActivationCase<float> run(ParseActivation(activation, "test"), 200, 30);
    run.stream = {.seed = 3, .step = step};
    run.FillForCoins();
    run.RunForward(GetParam());
    int active = 0;
    for (int64_t row = 0; row < run.rows; ++row) {
      active += run.Fired(row, 0);
      for (int64_t neuron = 1; neuron < run.neurons; ++neuron) {
        EXPECT_EQ(run.Fired(row, neuron), run.Fired(row, 0)) << activation << " row " << row;
      }
    }
    return active;
  };
  EXPECT_NEAR(active_rows("stocha:0.5,token", 0), 100, 4 * std::sqrt(200 * 0.25));
  int active_steps = 0;
  for (uint32_t step = 0; step < 100; ++step) {
    const int active = active_rows("stocha:0.5,layer", step);
    EXPECT_TRUE(active == 0 || active == 200) << active;
    active_steps += active == 200;
  }
  EXPECT_NEAR(active_steps, 50, 4 * std::sqrt(100 * 0.25));
}

INSTANTIATE_TEST_SUITE_P(All, GatedActivationCoinTest, testing::ValuesIn(AvailableIsas()),
                         [](const testing::TestParamInfo<Isa>& param) {
                           return std::string(IsaName(param.param));
                         });

}  // namespace
}  // namespace stocha
