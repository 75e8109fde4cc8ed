#include "stocha/train/gradients.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "stocha/recipe/schedule.h"

namespace stocha {
namespace {

constexpr double kNotComputed = std::numeric_limits<double>::quiet_NaN();

}  // namespace

int64_t MicroBatchSize(const Recipe& recipe) {
  return recipe.micro_batch_size == 0 ? recipe.batch_size : recipe.micro_batch_size;
}

std::vector<double> Sparsity(std::span<const GatedActivationStats> stats, int64_t tokens,
                             const ModelConfig& config) {
  const double elements =
      static_cast<double>(tokens) * static_cast<double>(config.intermediate_size);
  std::vector<double> sparsity;
  for (const GatedActivationStats& layer : stats) {
    sparsity.push_back(1 - static_cast<double>(layer.active) / elements);
  }
  return sparsity;
}

Batch ReadBatch(int64_t batch_size, int64_t sequence_length,
                const std::function<void(int64_t, std::span<int32_t>)>& read) {
  const int64_t window_length = sequence_length + 1;
  std::vector<int32_t> window(window_length);
  at::Tensor windows = at::empty({batch_size, window_length}, at::kLong);
  for (int64_t i = 0; i < batch_size; ++i) {
    read(i, window);
    std::copy(window.begin(), window.end(),
              windows.mutable_data_ptr<int64_t>() + i * window_length);
  }
  return {windows.narrow(1, 0, sequence_length), windows.narrow(1, 1, sequence_length)};
}

StepGradients AccumulateGradients(const Transformer& model, const Teacher* teacher,
                                  const BatchOrder& order, const Recipe& recipe, int64_t step,
                                  int64_t sequences) {
  const int64_t micro = MicroBatchSize(recipe);
  const double share = static_cast<double>(micro) / static_cast<double>(recipe.batch_size);
  const double hidden_values = static_cast<double>(recipe.batch_size) *
                               static_cast<double>(recipe.sequence_length) *
                               static_cast<double>(model.config().intermediate_size);
  const int64_t scheduled = std::min(step, recipe.steps - 1);
  const bool layerwise = LearnsLayerwise(recipe, scheduled);
  const bool distilled = !layerwise && recipe.kl_weight > 0;
  StepGradients result;
  if (layerwise) result.loss = kNotComputed;
  if (!layerwise && !distilled) result.distillation = kNotComputed;
  result.stats.resize(model.config().num_hidden_layers);
  ForwardOptions options;
  options.activation = ActivationAt(recipe, scheduled);
  options.seed = recipe.seed;
  options.step = static_cast<uint32_t>(step);
  options.compute_type = recipe.compute_type;
  options.checkpoint_blocks = recipe.checkpoint_blocks;
  options.weights = model.CastWeights(recipe.compute_type);
  options.l1_scale = recipe.l1 / hidden_values;
  options.stats = result.stats;
  for (int64_t first = 0; first < sequences; first += micro) {
    const Batch batch = ReadBatch(micro, recipe.sequence_length, [&](int64_t i, auto window) {
      order.ReadShuffled(static_cast<uint64_t>(step * recipe.batch_size + first + i), window);
    });
    options.first_row = static_cast<uint32_t>(first * recipe.sequence_length);
    if (layerwise) {
      result.distillation +=
          share * AccumulateLayerwise(model, *teacher, batch.ids, options, share);
    } else if (distilled) {
      const LossParts parts = AccumulateDistilled(model, *teacher, batch.ids, batch.targets,
                                                  recipe.kl_weight, options, share);
      result.loss += share * parts.cross_entropy;
      result.distillation += share * parts.kl;
    } else {
      const at::Tensor loss = model.Loss(batch.ids, batch.targets, options) * share;
      loss.backward();
      result.loss += loss.item<float>();
    }
  }
  return result;
}

}  // namespace stocha
