// Samples of many prompts in one stream of batches: as soon as a sample ends, the next begins in
// its place, so that every pass through the model is full.
#ifndef STOCHA_EVAL_SAMPLING_H_
#define STOCHA_EVAL_SAMPLING_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stocha/engine/model.h"
#include "stocha/engine/sampler.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"

namespace stocha {

struct SamplePrompt {
  std::vector<int32_t> ids;  // at least one; with max_tokens within the model's context
  uint64_t seed = 0;         // sample i draws with seed + i, coins too
};

struct SamplingOptions {
  int64_t samples = 1;          // of each prompt
  int64_t batch = kPassTokens;  // samples that grow at the same time, at most; 1 or more
  int64_t max_tokens = 32;
  SamplerOptions sampler;
  Activation activation;         // of generated tokens
  Activation prompt_activation;  // of the prompt's
  // [vocab_size]: ids that end a sample. They are part of it.
  std::vector<bool> stops;
};

// Called when all samples of a prompt are there, in the order in which that happens; returning
// false ends the run.
using SamplesCallback =
    std::function<bool(int64_t prompt, const std::vector<std::vector<int32_t>>& samples)>;

// A sample depends on its prompt, its seed and the options alone: `stocha generate` gives the same.
// What prompts begin with in common, one after the other, is computed once. Throws Error on a
// prompt that is empty or too long, and when logits are not finite. Ends early once `cancelled`
// (may be empty) says so; it is asked between tokens. Adds to workspace.stats.
void SampleAll(const Model& model, std::span<const SamplePrompt> prompts,
               const SamplingOptions& options, Workspace& workspace, const SamplesCallback& on_done,
               const std::function<bool()>& cancelled = {});

}  // namespace stocha

#endif  // STOCHA_EVAL_SAMPLING_H_
