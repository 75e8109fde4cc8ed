// Steps, and what happens between them: validation, checkpoints, and the export at the end.
#ifndef STOCHA_TRAIN_TRAINING_LOOP_H_
#define STOCHA_TRAIN_TRAINING_LOOP_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "stocha/train/gradients.h"
#include "stocha/train/inputs.h"
#include "stocha/train/metrics_log.h"
#include "stocha/train/optimizer.h"
#include "stocha/train/run_folder.h"
#include "stocha/train/teacher.h"
#include "stocha/train/trainer.h"
#include "stocha/train/training_state.h"
#include "stocha/train/transformer.h"

namespace stocha {

class TrainingLoop {
 public:
  // Borrows all but `saved`: where to continue, or null.
  TrainingLoop(const TrainingInputs& inputs, const RunFolder& folder, const SavedState* saved,
               int64_t threads, TrainingObserver* observer);

  // Until the recipe's last step and the export, or until `stop_requested` (may be empty) says so.
  TrainingResult Run(const std::function<bool()>& stop_requested);

 private:
  using Clock = std::chrono::steady_clock;

  int64_t TokensPerStep() const { return recipe_.batch_size * recipe_.sequence_length; }
  // False when `stop_requested` has said so: the model is fitted in part (CheckpointDue
  // has saved what was before).
  bool FitIfDue(const std::function<bool()>& stop_requested);
  void TrainStep();
  // Of the first `sequences` of a step (AccumulateGradients); the norm of all gradients beside it.
  // Throws Error unless both are finite.
  std::pair<StepGradients, double> Gradients(int64_t step, int64_t sequences);
  // Before the first step of a model that was trained before: what there is to keep.
  void ValidateAtStart();
  void ValidateIfDue();
  void ValidateWith(const Activation& activation);
  bool CheckpointDue() const;
  void SaveCheckpoint();
  // Throws Error unless part of the next step's gradient is finite.
  void CheckWeights();
  void Export();

  const TrainingInputs& inputs_;
  const Recipe& recipe_;
  const RunFolder& folder_;
  TrainingObserver* observer_;
  int64_t threads_;
  Transformer model_;
  std::optional<Teacher> teacher_;
  Optimizer optimizer_;
  MetricsLog log_;
  std::filesystem::path last_checkpoint_;  // empty: none yet
  Clock::time_point last_save_;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_TRAINING_LOOP_H_
