#include "stocha/report/run_summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace stocha {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// 100 steps; stocha:0.7 until step 95, then relu.
RunMetrics Switching() {
  RunMetrics run{.name = "run"};
  for (int64_t step = 0; step < 100; ++step) {
    run.steps.push_back({.step = step,
                         .loss = 5 - 0.01 * static_cast<double>(step),
                         .activation = step < 95 ? "stocha:0.7" : "relu",
                         .tokens = 64 * (step + 1),
                         .tokens_per_s = static_cast<double>(step)});
  }
  run.validations = {{.step = 50, .loss = 4.0, .activation = "stocha:0.7"},
                     {.step = 50, .loss = 4.9, .activation = "relu"},
                     {.step = 95, .loss = 3.0, .activation = "stocha:0.7"},
                     {.step = 95, .loss = 3.9, .activation = "relu"},
                     {.step = 100, .loss = 2.9, .activation = "relu", .sparsity = {0.8, 0.9}}};
  return run;
}

TEST(RunSummaryTest, FindsTheSwitch) {
  const auto switches = FindSwitches(Switching());
  ASSERT_EQ(switches.size(), 1u);
  EXPECT_EQ(switches[0].step, 95);
  EXPECT_EQ(switches[0].from, "stocha:0.7");
  EXPECT_EQ(switches[0].to, "relu");
}

TEST(RunSummaryTest, AnAnnealedPMarksOnlyItsEnd) {
  RunMetrics run = Switching();
  for (StepMetrics& step : run.steps) {
    if (step.step < 95) step.activation = "stocha:0." + std::to_string(900 - step.step);
  }
  const auto switches = FindSwitches(run);
  ASSERT_EQ(switches.size(), 1u);
  EXPECT_EQ(switches[0].step, 95);
  EXPECT_EQ(switches[0].to, "relu");
}

TEST(RunSummaryTest, SplitsValidationsAtTheSwitch) {
  const RunSummary summary = Summarize(Switching());
  EXPECT_EQ(summary.steps, 100);
  EXPECT_EQ(summary.tokens, 6400);
  ASSERT_TRUE(summary.last_switch.has_value());
  EXPECT_EQ(summary.before_switch.as_trained, 3.0);
  EXPECT_EQ(summary.before_switch.relu_trial, 3.9);
  EXPECT_EQ(summary.at_end.as_trained, 2.9);
  EXPECT_TRUE(std::isnan(summary.at_end.relu_trial));
  EXPECT_DOUBLE_EQ(summary.final_train_loss, 4.01);  // the last 1 % is one step
  EXPECT_EQ(summary.tokens_per_s, 50);               // of 1 .. 99: the 0 was not measured
  EXPECT_DOUBLE_EQ(summary.mean_sparsity, 0.85);
  EXPECT_EQ(summary.sparsity_source, "last validation, relu");
}

TEST(RunSummaryTest, WithoutASwitchTheLastValidationCounts) {
  RunMetrics run = Switching();
  for (StepMetrics& step : run.steps) step.activation = "stocha:0.7";
  run.validations.pop_back();
  const RunSummary summary = Summarize(run);
  EXPECT_FALSE(summary.last_switch.has_value());
  EXPECT_TRUE(std::isnan(summary.before_switch.as_trained));
  EXPECT_EQ(summary.at_end.as_trained, 3.0);
  EXPECT_EQ(summary.at_end.relu_trial, 3.9);
}

TEST(RunSummaryTest, CountsLossesThatAreNotFinite) {
  RunMetrics run = Switching();
  run.steps[7].loss = kNaN;
  run.steps[9].loss = std::numeric_limits<double>::infinity();
  run.steps[99].loss = kNaN;
  const RunSummary summary = Summarize(run);
  EXPECT_EQ(summary.non_finite_losses, 3);
  EXPECT_EQ(summary.first_non_finite, 7);
  EXPECT_TRUE(std::isnan(summary.final_train_loss));
}

TEST(RunSummaryTest, SparsityOfTrainingStandsInForAValidations) {
  RunMetrics run = Switching();
  run.validations.clear();
  run.steps[99].sparsity = {0.5, 0.7};
  const RunSummary summary = Summarize(run);
  EXPECT_DOUBLE_EQ(summary.mean_sparsity, 0.6);
  EXPECT_EQ(summary.sparsity_source, "training, last 1% of steps");
  run.steps[99].sparsity.clear();
  EXPECT_TRUE(std::isnan(Summarize(run).mean_sparsity));
}

TEST(RunSummaryTest, ReluOnWeightsTrainedWithReluIsNoTrial) {
  const RunMetrics run = Switching();
  EXPECT_TRUE(IsReluTrial(run, {.step = 0, .activation = "relu"}));
  EXPECT_TRUE(IsReluTrial(run, {.step = 95, .activation = "relu"}));  // 95 steps of StochA done
  EXPECT_FALSE(IsReluTrial(run, {.step = 96, .activation = "relu"}));
  EXPECT_FALSE(IsReluTrial(run, {.step = 10, .activation = "stocha:0.7"}));
}

}  // namespace
}  // namespace stocha
