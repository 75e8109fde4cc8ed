#include "stocha/recipe/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace stocha {
namespace {

Recipe WithPhases(int64_t steps, std::vector<ActivationPhase> phases) {
  Recipe recipe;
  recipe.steps = steps;
  recipe.activation = std::move(phases);
  return recipe;
}

ActivationPhase Phase(double until, const char* activation, double anneal_to = -1) {
  return {
      .until = until, .activation = ParseActivation(activation, "test"), .anneal_to = anneal_to};
}

TEST(ActivationSchedule, SwitchesAtTheRoundedShareOfTheSteps) {
  const Recipe recipe = WithPhases(10, {Phase(0.95, "stocha:0.7"), Phase(1, "relu")});
  // round(9.5) is 10: the second phase covers nothing, yet its activation is the exported one.
  EXPECT_EQ(ToString(ActivationAt(recipe, 9)), "stocha:0.7");
  EXPECT_EQ(ToString(FinalActivation(recipe)), "relu");
  EXPECT_TRUE(ActivationSwitches(recipe).empty());

  const Recipe longer = WithPhases(200, {Phase(0.95, "stocha:0.7"), Phase(1, "relu")});
  EXPECT_EQ(ToString(ActivationAt(longer, 0)), "stocha:0.7");
  EXPECT_EQ(ToString(ActivationAt(longer, 189)), "stocha:0.7");
  EXPECT_EQ(ToString(ActivationAt(longer, 190)), "relu");
  EXPECT_EQ(ToString(ActivationAt(longer, 199)), "relu");
  EXPECT_EQ(ActivationSwitches(longer), std::vector<int64_t>{190});
}

TEST(ActivationSchedule, AnnealsFromThePhasesFirstStepToItsLast) {
  const Recipe recipe =
      WithPhases(20, {Phase(0.5, "silu"), Phase(0.75, "stocha:1,token", 0), Phase(1, "relu")});
  EXPECT_EQ(ActivationAt(recipe, 9).kind, ActivationKind::kSilu);
  // Steps 10 to 14: 1, 0.75, 0.5, 0.25, 0.
  for (int64_t i = 0; i < 5; ++i) {
    const Activation activation = ActivationAt(recipe, 10 + i);
    EXPECT_EQ(activation.kind, ActivationKind::kStochastic);
    EXPECT_EQ(activation.granularity, CoinGranularity::kToken);
    EXPECT_EQ(activation.p_65536, 65536 - static_cast<uint32_t>(i) * 16384) << i;
  }
  EXPECT_EQ(ActivationAt(recipe, 15).kind, ActivationKind::kRelu);
  EXPECT_EQ(ActivationSwitches(recipe), (std::vector<int64_t>{10, 15}));
}

TEST(ActivationSchedule, AnnealedPhaseOfOneStepIsAtItsEnd) {
  const Recipe recipe = WithPhases(1, {Phase(1, "expected:0.5", 0.25)});
  EXPECT_EQ(ToString(ActivationAt(recipe, 0)), "expected:0.25");
  EXPECT_EQ(ToString(FinalActivation(recipe)), "expected:0.25");
}

TEST(ActivationSchedule, PhaseWithoutAStepIsSkipped) {
  const Recipe recipe = WithPhases(
      4, {Phase(0.1, "silu"), Phase(0.5, "stocha:0.5"), Phase(0.6, "relu2"), Phase(1, "relu")});
  EXPECT_EQ(ToString(ActivationAt(recipe, 0)), "stocha:0.5");
  EXPECT_EQ(ToString(ActivationAt(recipe, 1)), "stocha:0.5");
  EXPECT_EQ(ToString(ActivationAt(recipe, 2)), "relu");
  EXPECT_EQ(ActivationSwitches(recipe), std::vector<int64_t>{2});
}

Recipe WithSchedule(LearningRateSchedule schedule) {
  Recipe recipe;
  recipe.steps = 10;
  recipe.warmup_steps = 2;
  recipe.learning_rate = 8;
  recipe.min_learning_rate_ratio = 0.25;
  recipe.schedule = schedule;
  return recipe;
}

std::vector<double> LearningRates(const Recipe& recipe) {
  std::vector<double> rates;
  rates.reserve(static_cast<size_t>(recipe.steps));
  for (int64_t step = 0; step < recipe.steps; ++step) rates.push_back(LearningRateAt(recipe, step));
  return rates;
}

TEST(LearningRate, CosineFallsFromThePeakToTheFloor) {
  const std::vector<double> rates = LearningRates(WithSchedule(LearningRateSchedule::kCosine));
  // 5 + 3 cos(pi i / 8), worked out with tables of the cosine.
  const double expected[] = {4,
                             8,
                             8,
                             7.7716385975338604,
                             7.1213203435596428,
                             6.1480502970952693,
                             5,
                             3.8519497029047307,
                             2.8786796564403572,
                             2.2283614024661396};
  for (size_t i = 0; i < rates.size(); ++i) EXPECT_NEAR(rates[i], expected[i], 1e-12) << i;
}

TEST(LearningRate, WsdStaysThenFallsOverTheDecayFraction) {
  Recipe recipe = WithSchedule(LearningRateSchedule::kWsd);
  recipe.decay_fraction = 0.4;
  EXPECT_EQ(DecaySteps(recipe), 4);
  EXPECT_EQ(LearningRates(recipe), (std::vector<double>{4, 8, 8, 8, 8, 8, 8, 6.5, 5, 3.5}));
}

TEST(LearningRate, WsdWithoutDecayIsConstant) {
  Recipe recipe = WithSchedule(LearningRateSchedule::kWsd);
  recipe.decay_fraction = 0;
  recipe.warmup_steps = 0;
  EXPECT_EQ(LearningRates(recipe), std::vector<double>(10, 8));
}

TEST(LearningRate, WarmupOfEveryStepEndsAtThePeak) {
  Recipe recipe = WithSchedule(LearningRateSchedule::kCosine);
  recipe.warmup_steps = 10;
  EXPECT_EQ(LearningRateAt(recipe, 9), 8);
}

// A resume asks for any step first, so no answer may depend on what was asked before.
TEST(Schedule, IsPure) {
  Recipe recipe = WithSchedule(LearningRateSchedule::kWsd);
  recipe.activation = {Phase(0.5, "stocha:0.9", 0.1), Phase(1, "relu")};
  const Recipe before = recipe;
  std::vector<double> rates(10);
  std::vector<Activation> activations(10);
  for (int64_t step = 9; step >= 0; --step) {
    rates[static_cast<size_t>(step)] = LearningRateAt(recipe, step);
    activations[static_cast<size_t>(step)] = ActivationAt(recipe, step);
  }
  EXPECT_EQ(LearningRates(recipe), rates);
  for (int64_t step = 0; step < 10; ++step) {
    EXPECT_EQ(ActivationAt(recipe, step), activations[static_cast<size_t>(step)]);
  }
  EXPECT_EQ(recipe, before);
}

}  // namespace
}  // namespace stocha
