// All that a run needs to continue: weights, AdamW's moments, the step. Batches, coins and
// schedules are functions of (recipe, step) and need no state.
//
// CHECKPOINTS/step-00000123/ is a model directory (f32, the activation of its step) and, beside it
// in the same folder:
//   optimizer.safetensors   "first_moment.NAME", "second_moment.NAME", f32
//   recipe.toml             the run's, complete
//   state.json {"version":1,"step":123,"threads":2,"train_windows":..,"torch":"2.13.0"}
// It is written aside and renamed: a name without ".tmp-" is whole.
#ifndef STOCHA_TRAIN_TRAINING_STATE_H_
#define STOCHA_TRAIN_TRAINING_STATE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "stocha/model/checkpoint.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/optimizer.h"
#include "stocha/train/transformer.h"

namespace stocha {

// What bit-identical continuation rests on beside the recipe.
struct RunFacts {
  int64_t step = 0;  // updates done
  int64_t threads = 0;
  uint64_t train_windows = 0;  // BatchOrder::num_windows
  std::string torch;           // version
};

struct SavedState {
  std::filesystem::path directory;
  RunFacts facts;
  Recipe recipe;
  Checkpoint model;
  SafetensorsReader optimizer;
};

// Adds CHECKPOINTS/step-N and removes all but the newest recipe.keep_checkpoints. On an error the
// older ones are untouched. Returns the folder.
std::filesystem::path SaveState(const std::filesystem::path& checkpoints, const Recipe& recipe,
                                const RunFacts& facts, const Transformer& model,
                                const Optimizer& optimizer);

// The newest checkpoint that can be read; nullopt when there is none. `skipped` is told of each
// that cannot. Throws the newest's Error when there are some and none can be read.
std::optional<SavedState> FindState(const std::filesystem::path& checkpoints,
                                    const std::function<void(const std::string&)>& skipped);

// Moments and step into `optimizer`, whose weights are those of `specs`.
void RestoreOptimizer(const SavedState& state, std::span<const TensorSpec> specs,
                      Optimizer* optimizer);

}  // namespace stocha

#endif  // STOCHA_TRAIN_TRAINING_STATE_H_
