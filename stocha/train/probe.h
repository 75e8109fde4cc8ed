// What a step of a recipe takes on this machine, found by running some of it on random tokens.
#ifndef STOCHA_TRAIN_PROBE_H_
#define STOCHA_TRAIN_PROBE_H_

#include <cstdint>

#include "stocha/recipe/recipe.h"

namespace stocha {

// Bytes in a step.
struct StepMemory {
  int64_t activations = 0;  // of tensors that a forward pass keeps for its backward pass
  int64_t peak = 0;         // of the whole process: weights, optimiser, torch and all
};

// From steps of one and two layers with a small vocabulary on few tokens, which grow linearly.
// `recipe` has its model filled in; takes a few seconds at the sizes of billions of weights.
StepMemory EstimateStepMemory(const Recipe& recipe);
// What EstimateStepMemory itself needs.
int64_t EstimateNeeds(const Recipe& recipe);

struct ProbedStep {
  StepMemory memory;
  double tokens_per_s = 0;
};

// Runs the recipe's model: one micro batch to warm up, then `steps` times one or two of them and
// an update; the rest of a step is micro batches alike. Throws Error as training does.
ProbedStep ProbeStep(const Recipe& recipe, int64_t steps);

}  // namespace stocha

#endif  // STOCHA_TRAIN_PROBE_H_
