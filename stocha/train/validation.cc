#include "stocha/train/validation.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "stocha/recipe/schedule.h"
#include "stocha/train/gradients.h"

namespace stocha {
namespace {

// Of the coins; no training step has this number.
constexpr uint32_t kValidationStep = UINT32_MAX;

}  // namespace

ValidationMetrics Validate(const Transformer& model, const BatchOrder& order, const Recipe& recipe,
                           const Activation& activation, int64_t steps_done) {
  const c10::NoGradGuard no_grad;
  const int64_t micro = MicroBatchSize(recipe);
  int64_t windows = static_cast<int64_t>(order.num_windows());
  if (recipe.validation_batches > 0) windows = std::min(windows, recipe.validation_batches * micro);
  std::vector<GatedActivationStats> stats(model.config().num_hidden_layers);
  ForwardOptions options;
  options.activation = activation;
  options.seed = recipe.seed;
  options.step = kValidationStep;
  options.compute_type = recipe.compute_type;
  options.weights = model.CastWeights(recipe.compute_type);
  options.stats = stats;
  double sum = 0;  // over windows
  for (int64_t first = 0; first < windows; first += micro) {
    const int64_t count = std::min(micro, windows - first);
    const Batch batch = ReadBatch(count, recipe.sequence_length, [&](int64_t i, auto window) {
      order.ReadInOrder(static_cast<uint64_t>(first + i), window);
    });
    options.first_row = static_cast<uint32_t>(first * recipe.sequence_length);
    sum += static_cast<double>(count) * model.Loss(batch.ids, batch.targets, options).item<float>();
  }
  return {.step = steps_done,
          .loss = sum / static_cast<double>(windows),
          .activation = ToString(activation),
          .sparsity = Sparsity(stats, windows * recipe.sequence_length, model.config())};
}

std::vector<Activation> ValidationsDue(const Recipe& recipe, int64_t steps_done) {
  if (steps_done == 0) return {};
  const std::vector<int64_t> switches = ActivationSwitches(recipe);
  const bool at_switch = std::find(switches.begin(), switches.end(), steps_done) != switches.end();
  const bool at_end = steps_done == recipe.steps;
  const bool periodic = recipe.validate_every > 0 && steps_done % recipe.validate_every == 0;
  if (!at_switch && !at_end && !periodic) return {};
  std::vector<Activation> due = {ActivationAt(recipe, steps_done - 1)};
  const auto add = [&due](const Activation& activation) {
    if (std::find(due.begin(), due.end(), activation) == due.end()) due.push_back(activation);
  };
  if (at_switch) add(ActivationAt(recipe, steps_done));
  if (at_switch || at_end) add(FinalActivation(recipe));
  return due;
}

}  // namespace stocha
