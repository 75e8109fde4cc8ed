// The gradient of one step: micro batches, one after another, that add up to the mean over the
// whole batch. Batches and coins are functions of (seed, step) alone, so neither depends on the
// micro batch.
#ifndef STOCHA_TRAIN_GRADIENTS_H_
#define STOCHA_TRAIN_GRADIENTS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stocha/data/batch_order.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/teacher.h"
#include "stocha/train/transformer.h"

namespace stocha {

struct StepGradients {
  // Mean cross-entropy, nats a token, without the L1 penalty; NaN in a layerwise step, which does
  // not compute it.
  double loss = 0;
  // What the teacher adds: AccumulateLayerwise's error in a layerwise step, else the divergence
  // from the teacher, nats a token; NaN without a teacher.
  double distillation = 0;
  std::vector<GatedActivationStats> stats;  // one a layer, over all tokens of the step
};

// Adds the gradients of step `step` to those of the model's weights. `sequences` < batch_size
// computes the first so many only (a multiple of the micro batch), scaled as in the whole step. A
// weight that the step does not train has no gradient. teacher: the recipe's; null without one.
StepGradients AccumulateGradients(const Transformer& model, const Teacher* teacher,
                                  const BatchOrder& order, const Recipe& recipe, int64_t step,
                                  int64_t sequences);

// Sequences a forward pass: micro_batch_size, or batch_size when that is 0.
int64_t MicroBatchSize(const Recipe& recipe);

// Share of hidden activations that are 0, a layer each, when `tokens` tokens made `stats`.
std::vector<double> Sparsity(std::span<const GatedActivationStats> stats, int64_t tokens,
                             const ModelConfig& config);

// Inputs and their targets out of windows of sequence_length + 1 tokens. Both [batch, sequence],
// int64.
struct Batch {
  at::Tensor ids, targets;
};

// `read(i, out)` fills window i < batch_size.
Batch ReadBatch(int64_t batch_size, int64_t sequence_length,
                const std::function<void(int64_t, std::span<int32_t>)>& read);

}  // namespace stocha

#endif  // STOCHA_TRAIN_GRADIENTS_H_
