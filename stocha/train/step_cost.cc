#include "stocha/train/step_cost.h"

#include "stocha/model/tensors.h"

namespace stocha {
namespace {

// A tied embedding is the head's matrix; an untied one is only looked up.
bool IsMultiplied(const TensorSpec& spec, const ModelConfig& config) {
  if (spec.role == TensorRole::kEmbedding) return config.tie_word_embeddings;
  return spec.shape.size() > 1;
}

}  // namespace

StepCost CostOfStep(const ModelConfig& config, int64_t sequence_length) {
  StepCost cost;
  cost.flops_per_token = 12.0 * static_cast<double>(config.num_hidden_layers) *
                         static_cast<double>(config.q_size()) *
                         static_cast<double>(sequence_length);
  for (const TensorSpec& spec : ListTensors(config)) {
    if (IsMultiplied(spec, config)) {
      cost.flops_per_token += 6.0 * static_cast<double>(spec.num_elements());
    }
  }
  cost.parameters = CountParameters(config);
  cost.weight_bytes = cost.parameters * static_cast<int64_t>(sizeof(float));
  cost.gradient_bytes = cost.weight_bytes;
  cost.optimizer_bytes = 2 * cost.weight_bytes;
  return cost;
}

}  // namespace stocha
