// A training run, from a recipe to an exported model. Never prints: it tells an observer.
//
// A step: gradients of one batch (gradients.h), their norm, AdamW (optimizer.h) with the learning
// rate and the activation that recipe/schedule.h gives for the step. Between steps: validation,
// checkpoints. All that a step reads is a function of (recipe, step) and of the state that
// checkpoints hold, so a run that is killed and resumed on the same kind of machine with the same
// number of threads ends with the same bits as one that was not.
#ifndef STOCHA_TRAIN_TRAINER_H_
#define STOCHA_TRAIN_TRAINER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "stocha/recipe/recipe.h"
#include "stocha/report/metrics.h"

namespace stocha {

struct TrainOptions {
  std::filesystem::path run;  // run_folder.h says what is in it
  bool resume = false;  // continue the run in `run`; from step 0 when it has no checkpoint yet
  std::function<bool()>
      stop_requested;  // asked after every step and fitted layer; true: save, return. May be empty.
};

struct TrainingStart {
  int64_t step = 0;   // 0, or where the run continues
  int64_t steps = 0;  // of the whole run
  int64_t parameters = 0;
  int64_t tokens_per_step = 0;
  int64_t threads = 0;
};

class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnStart(const TrainingStart& start) = 0;
  virtual void OnFittedLayer(int layers, int of) = 0;  // of the fit (fit_projections.h), so far
  virtual void OnStep(const StepMetrics& metrics) = 0;
  virtual void OnValidation(const ValidationMetrics& metrics) = 0;
  virtual void OnCheckpoint(const std::filesystem::path& directory) = 0;
  virtual void OnNote(const std::string& note) = 0;  // one line that the user should read
};

struct TrainingResult {
  bool finished = false;  // false: stopped by stop_requested
  int64_t steps = 0;      // done
};

// Throws Error when an input is at fault, a loss or gradient is not finite, or the disk is full;
// the folder can then be resumed from its last checkpoint. Sets torch's thread count and its
// deterministic mode, which are the process's.
TrainingResult Train(const Recipe& recipe, const TrainOptions& options, TrainingObserver* observer);

}  // namespace stocha

#endif  // STOCHA_TRAIN_TRAINER_H_
