// Runs an experiment: training processes, one or a few at a time, each resumed where it was left.
// Never prints: it tells an observer.
#ifndef STOCHA_EXPERIMENT_RUNNER_H_
#define STOCHA_EXPERIMENT_RUNNER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "stocha/experiment/experiment.h"
#include "stocha/experiment/results.h"

namespace stocha {

struct RunnerOptions {
  std::filesystem::path output;
  std::filesystem::path stocha;  // the programs
  std::filesystem::path trainer;
  std::string recipe_name;  // of the experiment's file, for results.json
  std::string recipe_sha256;
  bool retry_failed = false;
  size_t jobs = 1;  // runs at a time; above 1 they share the processors, unless recipes say threads
  std::function<bool()> stop_requested;  // asked several times a second
};

struct ExperimentProgress {
  double share = 0;        // of the whole experiment's work, counted in tokens * parameters
  int64_t tokens = 0;      // trained on by this process
  int64_t all_tokens = 0;  // of the whole experiment
  // "12/40 small-relu-lr0.002-seed1, step 120/2000, loss 4.1234", or with several at work
  // "12: step 120/2000, loss 4.1234; 13: step 80/2000, loss 4.3210".
  std::string note;
};

class ExperimentObserver {
 public:
  virtual ~ExperimentObserver() = default;
  virtual void OnProgress(const ExperimentProgress& progress) = 0;
  virtual void OnNote(const std::string& note) = 0;  // one line that the user should read
};

struct ExperimentOutcome {
  bool stopped = false;
  size_t finished = 0;
  size_t failed = 0;
  size_t runs = 0;
  std::vector<GroupResult> groups;
};

// Throws Error when text or recipes are at fault; a run that fails is a result, not an error.
// results.json is written when a run starts and ends, so a kill at any moment loses what training
// did since its last checkpoint and nothing else.
ExperimentOutcome RunExperiment(const Experiment& experiment, const RunnerOptions& options,
                                ExperimentObserver* observer);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_RUNNER_H_
