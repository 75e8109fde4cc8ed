#include "stocha/experiment/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stocha {
namespace {

RunGroup Group(const std::string& arm, std::vector<double> rates) {
  RunGroup group{.arm = arm, .seeds = {1, 2}, .learning_rates = std::move(rates)};
  group.recipe.steps = 10;
  group.recipe.batch_size = 1;
  group.recipe.sequence_length = 1;
  return group;
}

// Two groups; the first has two rates to choose from.
Experiment TwoGroups() { return {.groups = {Group("a", {0.5, 0.25}), Group("b", {0.5})}}; }

class ScheduleTest : public testing::Test {
 protected:
  // Takes the next run and calls it running; "" when there is none.
  std::string Take() {
    const std::optional<NextRun> next = schedule_.Take(results_);
    if (!next) return "";
    const std::string name = next->group->NameOf(next->run);
    End(name, RunStatus::kRunning);
    return name;
  }

  void End(const std::string& name, RunStatus status, double loss = kNotKnown) {
    const auto found = std::ranges::find(results_, name, &RunResult::run);
    RunResult& result =
        found == results_.end() ? results_.emplace_back(RunResult{.run = name}) : *found;
    result.status = status;
    result.val_loss = loss;
  }

  void Retry() { schedule_ = Schedule(experiment_, true); }

  Experiment experiment_ = TwoGroups();
  Schedule schedule_{experiment_, false};
  std::vector<RunResult> results_;
};

TEST_F(ScheduleTest, OtherSeedsWaitForTheRateAndLaterGroupsDoNot) {
  EXPECT_EQ(Take(), "a-lr0.5-seed1");
  EXPECT_EQ(Take(), "a-lr0.25-seed1");
  EXPECT_EQ(Take(), "b-lr0.5-seed1");
  EXPECT_EQ(Take(), "b-lr0.5-seed2");  // one rate: nothing to wait for
  EXPECT_EQ(Take(), "");
  End("a-lr0.5-seed1", RunStatus::kFinished, 2);
  EXPECT_EQ(Take(), "");
  End("a-lr0.25-seed1", RunStatus::kFinished, 1);
  EXPECT_EQ(Take(), "a-lr0.25-seed2");
  EXPECT_EQ(Take(), "");
}

TEST_F(ScheduleTest, WhatAnEarlierProcessFinishedIsNotDue) {
  End("a-lr0.5-seed1", RunStatus::kFinished, 2);
  End("a-lr0.25-seed1", RunStatus::kStopped);
  const std::optional<NextRun> next = schedule_.Take(results_);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->group->NameOf(next->run), "a-lr0.25-seed1");
  EXPECT_EQ(next->number, 2U);
}

TEST_F(ScheduleTest, AFailedRunIsDueAgainOnlyWhenAskedFor) {
  End("a-lr0.5-seed1", RunStatus::kFailed);
  EXPECT_EQ(Take(), "a-lr0.25-seed1");
  Retry();
  EXPECT_EQ(Take(), "a-lr0.5-seed1");
  End("a-lr0.5-seed1", RunStatus::kFailed);
  EXPECT_EQ(Take(), "a-lr0.25-seed1");  // not the first once more
}

TEST_F(ScheduleTest, AGroupWithoutARateIsSaidAndCountsAsDone) {
  const double work = WorkOf(experiment_.groups[0]);
  EXPECT_EQ(schedule_.WorkDone(results_), 0);
  End("a-lr0.5-seed1", RunStatus::kFailed);
  EXPECT_EQ(schedule_.WorkDone(results_), work);
  EXPECT_TRUE(schedule_.WithoutRate(results_).empty());
  End("a-lr0.25-seed1", RunStatus::kFailed);
  ASSERT_EQ(schedule_.WithoutRate(results_).size(), 1U);
  EXPECT_EQ(schedule_.WithoutRate(results_)[0], experiment_.groups.data());
  EXPECT_EQ(schedule_.WorkDone(results_), 3 * work);
  EXPECT_EQ(Take(), "b-lr0.5-seed1");
}

}  // namespace
}  // namespace stocha
