// Where a model's weights come from: a generator seeded by the recipe, or a checkpoint.
#ifndef STOCHA_TRAIN_WEIGHTS_H_
#define STOCHA_TRAIN_WEIGHTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "stocha/model/checkpoint.h"
#include "stocha/model/config.h"
#include "stocha/model/tensors.h"
#include "stocha/recipe/recipe.h"

namespace stocha {

// f32, in the order of ListTensors(config): normal(0, 0.02), the projections that write to the
// residual stream (o_proj, down_proj) divided by sqrt(2 layers), norms 1, biases 0.
std::vector<at::Tensor> RandomWeights(const ModelConfig& config, uint64_t seed);

// Likewise, from a checkpoint of any stored type.
std::vector<at::Tensor> LoadWeights(const Checkpoint& checkpoint);

// Leaves gradients to the weights that recipe.train_only names, where it names any; `weights` is in
// the order of `specs`.
void SetTrained(const Recipe& recipe, std::span<const TensorSpec> specs,
                std::span<const at::Tensor> weights);

}  // namespace stocha

#endif  // STOCHA_TRAIN_WEIGHTS_H_
