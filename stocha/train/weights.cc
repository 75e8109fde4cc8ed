#include "stocha/train/weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace stocha {
namespace {

constexpr double kInitialDeviation = 0.02;

WeightGroup GroupOf(TensorRole role) {
  switch (role) {
    case TensorRole::kEmbedding:
    case TensorRole::kHead:
      return WeightGroup::kEmbedding;
    case TensorRole::kGate:
      return WeightGroup::kGate;
    case TensorRole::kUp:
      return WeightGroup::kUp;
    case TensorRole::kDown:
      return WeightGroup::kDown;
    case TensorRole::kInputNorm:
    case TensorRole::kPostAttentionNorm:
    case TensorRole::kQueryNorm:
    case TensorRole::kKeyNorm:
    case TensorRole::kFinalNorm:
      return WeightGroup::kNorms;
    default:
      return WeightGroup::kAttention;
  }
}

}  // namespace

std::vector<at::Tensor> RandomWeights(const ModelConfig& config, uint64_t seed) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  std::vector<at::Tensor> weights;
  for (const TensorSpec& spec : ListTensors(config)) {
    switch (spec.role) {
      case TensorRole::kInputNorm:
      case TensorRole::kPostAttentionNorm:
      case TensorRole::kQueryNorm:
      case TensorRole::kKeyNorm:
      case TensorRole::kFinalNorm:
        weights.push_back(at::ones(spec.shape, at::kFloat));
        break;
      case TensorRole::kQueryBias:
      case TensorRole::kKeyBias:
      case TensorRole::kValueBias:
        weights.push_back(at::zeros(spec.shape, at::kFloat));
        break;
      case TensorRole::kAttentionOutput:
      case TensorRole::kDown:
        // 2 * layers of them add up on the residual stream: its variance should not grow with
        // depth.
        weights.push_back(
            at::empty(spec.shape, at::kFloat)
                .normal_(0, kInitialDeviation / std::sqrt(2.0 * config.num_hidden_layers),
                         generator));
        break;
      default:
        weights.push_back(
            at::empty(spec.shape, at::kFloat).normal_(0, kInitialDeviation, generator));
    }
  }
  return weights;
}

void SetTrained(const Recipe& recipe, std::span<const TensorSpec> specs,
                std::span<const at::Tensor> weights) {
  for (size_t i = 0; i < specs.size(); ++i) {
    weights[i].requires_grad_(recipe.Trains(GroupOf(specs[i].role)));
  }
}

std::vector<at::Tensor> LoadWeights(const Checkpoint& checkpoint) {
  std::vector<at::Tensor> weights;
  for (const TensorSpec& spec : ListTensors(checkpoint.config)) {
    const std::vector<float> values = ToFloat32(checkpoint.Get(spec), spec.name);
    at::Tensor weight = at::empty(spec.shape, at::kFloat);
    std::copy(values.begin(), values.end(), weight.mutable_data_ptr<float>());
    weights.push_back(std::move(weight));
  }
  return weights;
}

}  // namespace stocha
