// What a probe says of a step's memory: against tensors counted by hand, and the estimate from
// small steps against the real one.
#include "stocha/train/probe.h"

#include <gtest/gtest.h>

#include "stocha/train/tiny_run.h"

namespace stocha {
namespace {

class ProbeTest : public TinyRunTest {
 protected:
  // Large enough that what does not grow with the model is little of it.
  Recipe LargerRecipe() const {
    Recipe recipe = TinyRecipe();
    recipe.model.vocab_size = 3000;
    recipe.model.hidden_size = 64;
    recipe.model.intermediate_size = 192;
    recipe.model.num_hidden_layers = 3;
    recipe.model.head_dim = 16;
    recipe.sequence_length = 64;
    recipe.batch_size = 8;
    recipe.compute_type = ComputeType::kBF16;
    return recipe;
  }
};

TEST_F(ProbeTest, ActivationsHoldGateAndUpAndGrowWithTheMicroBatch) {
  Recipe recipe = LargerRecipe();
  const int64_t whole = ProbeStep(recipe, 1).memory.activations;
  // Gate and up, and their product, in bf16; the residual stream in f32.
  const int64_t tokens = recipe.batch_size * recipe.sequence_length;
  EXPECT_GT(whole, tokens * 3 * (3 * 192 * 2 + 64 * 4));
  recipe.micro_batch_size = recipe.batch_size / 2;
  const int64_t half = ProbeStep(recipe, 1).memory.activations;
  EXPECT_LT(half, whole);
  EXPECT_GT(2 * half, whole);  // weights in the compute type are there once
}

TEST_F(ProbeTest, CheckpointedBlocksKeepLess) {
  Recipe recipe = LargerRecipe();
  const ProbedStep without = ProbeStep(recipe, 1);
  recipe.checkpoint_blocks = true;
  const ProbedStep with = ProbeStep(recipe, 1);
  EXPECT_LT(with.memory.activations, without.memory.activations * 3 / 4);
}

TEST_F(ProbeTest, TheEstimateFromSmallStepsIsNearTheRealStep) {
  for (const int64_t micro_batch_size : {0, 2}) {
    Recipe recipe = LargerRecipe();
    recipe.micro_batch_size = micro_batch_size;
    const StepMemory estimated = EstimateStepMemory(recipe);
    const StepMemory real = ProbeStep(recipe, 1).memory;
    EXPECT_NEAR(static_cast<double>(estimated.activations), static_cast<double>(real.activations),
                0.1 * static_cast<double>(real.activations))
        << "micro batch " << micro_batch_size;
  }
}

TEST_F(ProbeTest, WhatTheEstimateTakesIsLittleOfALargeModel) {
  Recipe recipe = LargerRecipe();
  const int64_t needs = EstimateNeeds(recipe);
  recipe.model.num_hidden_layers = 100;
  recipe.model.vocab_size = 1 << 20;
  EXPECT_EQ(EstimateNeeds(recipe), needs);
  recipe.model.hidden_size *= 2;
  EXPECT_GT(EstimateNeeds(recipe), needs);
}

// Two micro batches are run, whatever the batch: taken for the whole of it, a step of 64 sequences
// would look eight times as fast as one of 8. Other work on the machine may spoil a measurement.
TEST_F(ProbeTest, SpeedIsThatOfAWholeBatch) {
  Recipe recipe = LargerRecipe();
  recipe.micro_batch_size = 1;
  double gain = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    recipe.batch_size = 8;
    const double few = ProbeStep(recipe, 3).tokens_per_s;
    recipe.batch_size = 64;
    gain = ProbeStep(recipe, 3).tokens_per_s / few;
    if (gain > 0.4 && gain < 4) break;
  }
  EXPECT_GT(gain, 0.4);
  EXPECT_LT(gain, 4);
}

}  // namespace
}  // namespace stocha
