#include "stocha/train/trainer.h"

#include <torch/version.h>

#include <optional>
#include <string>

#include "stocha/base/error.h"
#include "stocha/train/continue_recipe.h"
#include "stocha/train/inputs.h"
#include "stocha/train/run_folder.h"
#include "stocha/train/torch_setup.h"
#include "stocha/train/training_loop.h"
#include "stocha/train/training_state.h"

namespace stocha {
namespace {

// What bit-identical continuation rests on beside the recipe.
void CompareFacts(const RunFacts& saved, uint64_t train_windows, int64_t threads,
                  TrainingObserver* observer) {
  if (saved.train_windows != train_windows) {
    throw Error({.where = "data.train",
                 .what = "the training data has changed since the run was started",
                 .got = std::to_string(train_windows) + " windows",
                 .expected = std::to_string(saved.train_windows),
                 .hint = "bring the old shards back, or start another run"});
  }
  if (saved.threads != threads) {
    observer->OnNote("continuing with thread count " + std::to_string(threads) + " instead of " +
                     std::to_string(saved.threads) + ": losses will differ in their last digits");
  }
  if (saved.torch != TORCH_VERSION) {
    observer->OnNote("continuing with torch " TORCH_VERSION " instead of " + saved.torch +
                     ": losses may differ in their last digits");
  }
}

TrainingResult RunTraining(Recipe recipe, const TrainOptions& options, TrainingObserver* observer) {
  const int64_t threads = SetUpTorch(recipe);
  RunFolder folder(options.run, options.resume);
  std::optional<SavedState> saved;
  if (options.resume) {
    saved = FindState(folder.checkpoints(), [observer](const std::string& reason) {
      observer->OnNote("skipping a checkpoint that cannot be read: " + reason);
    });
  }
  if (saved) {
    const std::string change = ContinueRecipe(saved->recipe, saved->directory.string(), &recipe);
    if (!change.empty()) observer->OnNote("continuing with another " + change);
  }
  const TrainingInputs inputs(recipe, saved ? &saved->model : nullptr);
  if (saved) CompareFacts(saved->facts, inputs.train().num_windows(), threads, observer);
  folder.Create(RecipeToToml(inputs.recipe()));
  TrainingLoop loop(inputs, folder, saved ? &*saved : nullptr, threads, observer);
  saved.reset();  // unmaps its files
  return loop.Run(options.stop_requested);
}

}  // namespace

TrainingResult Train(const Recipe& recipe, const TrainOptions& options,
                     TrainingObserver* observer) {
  try {
    return RunTraining(recipe, options, observer);
  } catch (const c10::Error& error) {
    ThrowTorchError(error);
  }
}

}  // namespace stocha
