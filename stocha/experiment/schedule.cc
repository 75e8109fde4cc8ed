#include "stocha/experiment/schedule.h"

#include <algorithm>
#include <cmath>

#include "stocha/model/tensors.h"

namespace stocha {
namespace {

bool IsRunOver(const std::string& name, const std::vector<RunResult>& results) {
  const RunResult* result = FindRun(results, name);
  return result != nullptr && IsOver(result->status);
}

}  // namespace

std::vector<ExperimentRun> KnownRuns(const RunGroup& group, const std::vector<RunResult>& results) {
  std::vector<ExperimentRun> runs = group.FirstRuns();
  const double rate = SumUp(group, results).learning_rate;
  if (!std::isfinite(rate)) return runs;
  for (const ExperimentRun& run : group.OtherRuns(rate)) runs.push_back(run);
  return runs;
}

int64_t TokensOf(const Recipe& recipe) {
  return recipe.steps * recipe.batch_size * recipe.sequence_length;
}

double WorkOf(const RunGroup& group) {
  const int64_t parameters = std::max<int64_t>(1, CountParameters(group.model));
  return static_cast<double>(TokensOf(group.recipe)) * static_cast<double>(parameters);
}

bool Schedule::IsDue(const std::string& name, const std::vector<RunResult>& results) const {
  if (taken_.contains(name)) return false;
  const RunResult* result = FindRun(results, name);
  if (result == nullptr || !IsOver(result->status)) return true;
  return result->status == RunStatus::kFailed && retry_failed_;
}

std::optional<NextRun> Schedule::Take(const std::vector<RunResult>& results) {
  size_t before = 0;
  for (const RunGroup& group : experiment_->groups) {
    const std::vector<ExperimentRun> runs = KnownRuns(group, results);
    for (size_t i = 0; i < runs.size(); ++i) {
      const std::string name = group.NameOf(runs[i]);
      if (!IsDue(name, results)) continue;
      taken_.insert(name);
      return NextRun{.group = &group, .run = runs[i], .number = before + i + 1};
    }
    before += group.num_runs();
  }
  return std::nullopt;
}

std::vector<const RunGroup*> Schedule::WithoutRate(const std::vector<RunResult>& results) const {
  std::vector<const RunGroup*> groups;
  for (const RunGroup& group : experiment_->groups) {
    const bool scanned = std::ranges::all_of(group.FirstRuns(), [&](const ExperimentRun& run) {
      return IsRunOver(group.NameOf(run), results);
    });
    if (scanned && !std::isfinite(SumUp(group, results).learning_rate)) groups.push_back(&group);
  }
  return groups;
}

double Schedule::WorkDone(const std::vector<RunResult>& results) const {
  double done = 0;
  for (const RunGroup& group : experiment_->groups) {
    for (const ExperimentRun& run : KnownRuns(group, results)) {
      const std::string name = group.NameOf(run);
      if (IsRunOver(name, results) && !IsDue(name, results)) done += WorkOf(group);
    }
  }
  for (const RunGroup* group : WithoutRate(results)) {
    done += WorkOf(*group) * static_cast<double>(group->seeds.size() - 1);
  }
  return done;
}

}  // namespace stocha
