#include "stocha/model/activation.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr std::array kPoints = {-50.0, -3.0, -1.0, -1e-6, -0.0, 0.0, 1e-6, 0.5, 1.0, 2.0, 50.0};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Activation Parse(std::string_view text) { return ParseActivation(text, "--activation"); }

TEST(ActivationTest, ParsesAndPrints) {
  for (const char* text :
       {"relu", "silu", "relu2", "stocha:0.7", "stocha:0", "stocha:1", "expected:0.25",
        "stocha:0.7,smooth", "stocha:0.7,token", "stocha:0.7,smooth,layer", "expected:0.7,smooth",
        "stocha:0.00153", "stocha:0.7,blend,token", "expected:0.5,blend"}) {
    EXPECT_EQ(ToString(Parse(text)), text);
  }
  EXPECT_EQ(Parse("stocha:0.7").p_65536, 45875U);  // round(0.7 * 65536)
  EXPECT_EQ(Parse("stocha:0.7,token").granularity, CoinGranularity::kToken);
  EXPECT_EQ(Parse("stocha:1e-1"), Parse("stocha:0.1"));
}

TEST(ActivationTest, EveryPReadsBackTheSame) {
  for (uint32_t p = 0; p <= 65536; p += 7) {
    const Activation activation = {.kind = ActivationKind::kStochastic, .p_65536 = p};
    ASSERT_EQ(Parse(ToString(activation)), activation) << ToString(activation);
  }
}

TEST(ActivationTest, RefusesBadText) {
  for (const char* text : {"",
                           "gelu",
                           "ReLU",
                           "relu,smooth",
                           "relu:0.5",
                           "stocha",
                           "stocha:",
                           "stocha:x",
                           "stocha:0.5x",
                           "stocha:-0.1",
                           "stocha:1.1",
                           "stocha:nan",
                           "stocha:inf",
                           "stocha:0.5,",
                           "stocha:0.5,soft",
                           "stocha:0.5 ,smooth",
                           "stocha:0.5,token,layer",
                           "stocha:0.5,smooth,smooth",
                           "stocha:0.5,smooth,blend",
                           "stocha:0.5,blend,blend",
                           "expected:0.5,token",
                           "stocha:0.5,smooth,",
                           ",",
                           ":0.5"}) {
    try {
      Parse(text);
      ADD_FAILURE() << "accepted \"" << text << "\"";
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("--activation: not an activation: got \""));
    }
  }
}

TEST(ActivationTest, FollowsTheDefinition) {
  const Activation relu = Parse("relu");
  const Activation drawn = Parse("stocha:0.7");
  const Activation smooth = Parse("stocha:0.7,smooth");
  for (const double x : kPoints) {
    for (const bool coin : {false, true}) {
      const double tail = x < 0 && coin ? Silu(x) : 0;
      EXPECT_EQ(Activate(drawn, x, coin), x >= 0 ? x : tail);
      EXPECT_EQ(Activate(smooth, x, coin), x >= 0 ? Silu(x) : tail);
      EXPECT_EQ(Activate(relu, x, coin), x > 0 ? x : 0);
      EXPECT_EQ(Activate(Parse("silu"), x, coin), Silu(x));
      EXPECT_EQ(Activate(Parse("relu2"), x, coin), x > 0 ? x * x : 0);
      EXPECT_EQ(Activate(Parse("expected:0.5"), x, coin), x >= 0 ? x : 0.5 * Silu(x));
      // p = 0 is ReLU, p = 1 with smooth is SiLU; gradients too.
      EXPECT_EQ(Activate(Parse("stocha:0"), x, false), Activate(relu, x, false));
      EXPECT_EQ(ActivateGrad(Parse("stocha:0"), x, false), ActivateGrad(relu, x, false));
      EXPECT_EQ(Activate(Parse("stocha:1,smooth"), x, true), Silu(x));
      EXPECT_EQ(ActivateGrad(Parse("stocha:1,smooth"), x, true), SiluGrad(x));
      // blend goes from one to the other on both sides; its mean is the line between them.
      EXPECT_EQ(Activate(Parse("stocha:1,blend"), x, true), Silu(x));
      EXPECT_EQ(ActivateGrad(Parse("stocha:1,blend"), x, true), SiluGrad(x));
      EXPECT_EQ(Activate(Parse("stocha:0,blend"), x, false), Activate(relu, x, false));
      EXPECT_EQ(ActivateGrad(Parse("stocha:0,blend"), x, false), ActivateGrad(relu, x, false));
      EXPECT_NEAR(Activate(Parse("expected:0.25,blend"), x, coin),
                  0.25 * Silu(x) + 0.75 * Activate(relu, x, coin), 1e-15);
    }
  }
}

TEST(ActivationTest, GradientsEqualFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (const char* text :
       {"relu", "silu", "relu2", "stocha:0.7", "stocha:0.7,smooth", "stocha:0.7,blend",
        "expected:0.3", "expected:0.3,smooth", "expected:0.3,blend"}) {
    const Activation activation = Parse(text);
    for (const double x : {-20.0, -2.5, -0.4, 0.3, 1.7, 20.0}) {
      for (const bool coin : {false, true}) {
        const double difference =
            (Activate(activation, x + kStep, coin) - Activate(activation, x - kStep, coin)) /
            (2 * kStep);
        EXPECT_NEAR(ActivateGrad(activation, x, coin), difference, 1e-8) << text << " at " << x;
      }
    }
  }
  for (const char* text : {"relu", "stocha:0.7", "stocha:0", "expected:0.3"}) {
    EXPECT_EQ(ActivateGrad(Parse(text), 0, true), 0) << text;  // as torch's ReLU
  }
}

TEST(ActivationTest, NanAndInfinityPassThrough) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const char* text : {"relu", "silu", "relu2", "stocha:0.7", "stocha:0.7,smooth",
                           "stocha:0.7,blend", "stocha:1,blend", "expected:0.3"}) {
    EXPECT_TRUE(std::isnan(Activate(Parse(text), kNan, true))) << text;
    EXPECT_EQ(Activate(Parse(text), kInfinity, true), kInfinity) << text;
  }
}

TEST(ActivationTest, SparseMeansZeroBelowZero) {
  EXPECT_TRUE(Parse("relu").sparse());
  EXPECT_TRUE(Parse("relu2").sparse());
  EXPECT_TRUE(Parse("stocha:0").sparse());
  EXPECT_TRUE(Parse("expected:0").sparse());
  EXPECT_FALSE(Parse("silu").sparse());
  EXPECT_FALSE(Parse("stocha:0.7").sparse());
  EXPECT_FALSE(Parse("expected:0.7").sparse());
}

// testdata/coins.txt is computed in numpy (tools/generate_coin_table.py). The coin's bits are read
// off by asking at the two thresholds around them.
TEST(CoinTest, EqualsTheTableOfKnownAnswers) {
  std::ifstream file(STOCHA_MODEL_TESTDATA "/coins.txt");
  ASSERT_TRUE(file) << "no " STOCHA_MODEL_TESTDATA "/coins.txt";
  int rows = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    CoinStream stream;
    uint32_t row = 0;
    uint32_t neuron = 0;
    uint32_t bits = 0;
    std::istringstream(line) >> stream.seed >> stream.layer >> stream.step >> row >> neuron >> bits;
    Activation activation = {.kind = ActivationKind::kStochastic, .p_65536 = bits};
    EXPECT_FALSE(Coin(activation, stream, row, neuron)) << line;
    activation.p_65536 = bits + 1;
    EXPECT_TRUE(Coin(activation, stream, row, neuron)) << line;
    ++rows;
  }
  EXPECT_GE(rows, 50);
}

TEST(CoinTest, FrequencyIsPWithinFourSigma) {
  constexpr int kRows = 100;
  constexpr int kNeurons = 1000;
  for (const char* text : {"stocha:0.001", "stocha:0.3", "stocha:0.7", "stocha:0.99"}) {
    const Activation activation = Parse(text);
    const double p = activation.p();
    int64_t heads = 0;
    for (uint32_t row = 0; row < kRows; ++row) {
      for (uint32_t neuron = 0; neuron < kNeurons; ++neuron) {
        heads += Coin(activation, {.seed = 42, .layer = 3, .step = 9}, row, neuron) ? 1 : 0;
      }
    }
    constexpr double kDraws = kRows * kNeurons;
    const double sigma = std::sqrt(p * (1 - p) / kDraws);
    EXPECT_NEAR(static_cast<double>(heads) / kDraws, p, 4 * sigma) << text;
  }
  EXPECT_FALSE(Coin(Parse("stocha:0"), {}, 0, 0));
  EXPECT_TRUE(Coin(Parse("stocha:1"), {}, 0, 0));
}

TEST(CoinTest, GranularitySaysWhatSharesACoin) {
  const auto distinct = [](std::string_view text) {
    const Activation activation = Parse(text);
    std::array<std::array<bool, 64>, 64> coins{};
    bool rows_differ = false;
    bool neurons_differ = false;
    for (uint32_t row = 0; row < 64; ++row) {
      for (uint32_t neuron = 0; neuron < 64; ++neuron) {
        coins[row][neuron] = Coin(activation, {.seed = 1}, row, neuron);
        rows_differ |= coins[row][neuron] != coins[0][neuron];
        neurons_differ |= coins[row][neuron] != coins[row][0];
      }
    }
    return std::pair(rows_differ, neurons_differ);
  };
  EXPECT_EQ(distinct("stocha:0.5"), std::pair(true, true));
  EXPECT_EQ(distinct("stocha:0.5,token"), std::pair(true, false));
  EXPECT_EQ(distinct("stocha:0.5,layer"), std::pair(false, false));
}

TEST(CoinTest, TheMeanOverSeedsApproachesTheExpectedActivation) {
  const Activation drawn = Parse("stocha:0.7");
  const Activation expected = {.kind = ActivationKind::kExpected, .p_65536 = drawn.p_65536};
  constexpr int kSeeds = 20000;
  for (const double x : {-2.0, -0.5, 1.5}) {
    double sum = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      sum += Activate(drawn, x, Coin(drawn, {.seed = seed}, 5, 11));
    }
    const double p = drawn.p();
    const double sigma = x < 0 ? std::abs(Silu(x)) * std::sqrt(p * (1 - p) / kSeeds) : 1e-12;
    EXPECT_NEAR(sum / kSeeds, Activate(expected, x, false), 4 * sigma) << x;
  }
}

}  // namespace
}  // namespace stocha
