// Which run of an experiment comes next, and how much of the whole is done.
#ifndef STOCHA_EXPERIMENT_SCHEDULE_H_
#define STOCHA_EXPERIMENT_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "stocha/experiment/experiment.h"
#include "stocha/experiment/results.h"

namespace stocha {

// What runs are weighed by: tokens * parameters.
double WorkOf(const RunGroup& group);
int64_t TokensOf(const Recipe& recipe);

// A group's runs that can be named by now: a rate that is not chosen yet hides the other seeds.
std::vector<ExperimentRun> KnownRuns(const RunGroup& group, const std::vector<RunResult>& results);

struct NextRun {
  const RunGroup* group = nullptr;
  ExperimentRun run;
  size_t number = 0;  // in the order of the file, from 1
};

// Every run is handed out once at most. Runs of a later group may come before the last of an
// earlier one, whose learning rate is not known yet. `results`: of all runs handed out, and of
// those of earlier processes.
class Schedule {
 public:
  // `experiment` must outlive it. Failed runs are due again only with `retry_failed`.
  Schedule(const Experiment& experiment, bool retry_failed)
      : experiment_(&experiment), retry_failed_(retry_failed) {}

  // None when all runs are over or at work, or wait for one that is at work.
  std::optional<NextRun> Take(const std::vector<RunResult>& results);

  // The groups that have no learning rate though all runs that could choose one are over.
  std::vector<const RunGroup*> WithoutRate(const std::vector<RunResult>& results) const;

  // Of the runs that are over, and of those that will never be due.
  double WorkDone(const std::vector<RunResult>& results) const;

 private:
  bool IsDue(const std::string& name, const std::vector<RunResult>& results) const;

  const Experiment* experiment_;
  bool retry_failed_;
  std::set<std::string> taken_;
};

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_SCHEDULE_H_
