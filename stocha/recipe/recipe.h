// A training run, whole, as a TOML file: model, data, optimiser, steps, activation phases.
// docs/recipe-keys.md lists every key; one visitor of the fields gives parse, write and that page.
#ifndef STOCHA_RECIPE_RECIPE_H_
#define STOCHA_RECIPE_RECIPE_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/model/activation.h"
#include "stocha/model/config.h"

namespace stocha {

// The activation from the end of the phase before (or 0) until `until`, a fraction of all steps.
struct ActivationPhase {
  double until = 1;       // in (0, 1], rising; the last phase ends at 1
  Activation activation;  // "activation", in ParseActivation's spelling
  double anneal_to = -1;  // p moves linearly to this at the phase's end; < 0: constant

  friend bool operator==(const ActivationPhase&, const ActivationPhase&) = default;
};

enum class LearningRateSchedule : uint8_t {
  kCosine,  // warm-up, then a half cosine down to the floor
  kWsd,     // warm-up, stable, then a linear decay to the floor over the last decay_fraction
};

enum class ComputeType : uint8_t { kF32, kBF16 };

enum class WeightGroup : uint8_t { kAttention, kGate, kUp, kDown, kNorms, kEmbedding };

struct Recipe {
  uint64_t seed = 1;

  // [model]: `model` holds the shape; vocab_size 0 takes the tokenizer's.
  ModelConfig model;
  std::string tokenizer;  // a tokenizer.json, copied into the export; may be empty
  std::string init_from;  // a model directory to start from (its config must match [model], which
                          // may then be left out); empty: random weights from `seed`

  // [data]
  std::vector<std::string> train;       // token shards, or folders of *.tokens
  std::vector<std::string> validation;  // likewise; may be empty
  int64_t sequence_length = 256;

  // [optimizer]: AdamW; no decay on norms and biases.
  double learning_rate = 1e-3;
  double min_learning_rate_ratio = 0.1;  // the floor, as a fraction of learning_rate
  LearningRateSchedule schedule = LearningRateSchedule::kCosine;
  int64_t warmup_steps = 0;
  double decay_fraction = 0.2;  // kWsd only
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1;  // of the global gradient; 0: no clipping

  // [training]
  int64_t steps = 1000;
  int64_t batch_size = 16;         // sequences a step
  int64_t micro_batch_size = 0;    // sequences a forward pass; 0: batch_size; divides it
  bool checkpoint_blocks = false;  // keep each block's input alone for the backward pass
  ComputeType compute_type = ComputeType::kBF16;  // "bf16" or "f32"; weights and optimiser are f32
  int64_t threads = 0;                            // 0: all processors
  int64_t validate_every = 0;      // steps; 0: at the end and at changes of activation only
  int64_t validation_batches = 0;  // of micro_batch_size; 0: all
  int64_t checkpoint_every = 0;    // steps; 0: never by steps
  double checkpoint_minutes = 10;  // 0: never by time
  int64_t keep_checkpoints = 2;
  double l1 = 0;  // coefficient of the mean |hidden activation|, summed over layers
  DType export_type = DType::kF32;  // of final/model.safetensors: "f32" or "bf16"

  std::vector<WeightGroup> train_only;  // the others stay as they are; empty: all are trained

  // [distill]: what the loss takes from a model whose activation is its own.
  std::string teacher;         // a model directory; empty: none
  double layerwise_until = 0;  // a fraction of all steps: until then each FFN learns the teacher's
                               // output from the teacher's input, and nothing else is trained
  int64_t fit_tokens = 0;  // > 0: on so many, once, attention's output and down projections are set
  double fit_at = 0;       // by least squares to reach the teacher's residual stream, after this
                           // fraction of all steps
  double kl_weight = 0;  // after layerwise_until: the loss is (1 - this) cross-entropy + this * KL

  // [[activation]], in order.
  std::vector<ActivationPhase> activation;

  bool Trains(WeightGroup group) const;  // by train_only

  friend bool operator==(const Recipe&, const Recipe&) = default;
};

// Parses TOML; `where` names the text in errors; relative paths in it are relative to `base`.
// `overrides` are "table.key=value" (value in TOML; a bare word counts as a string), applied before
// validation; relative paths in them are relative to the current directory. All paths come out
// absolute. A model's num_key_value_heads and head_dim come out filled in; with init_from and no
// shape, `model` stays as it was born, all zero. Throws Error with file, line and column on a
// syntax error, an unknown key, a wrong type or a value out of range.
Recipe ParseRecipe(std::string_view toml, std::string_view where, const std::filesystem::path& base,
                   std::span<const std::string> overrides = {});
Recipe ReadRecipe(const std::filesystem::path& file, std::span<const std::string> overrides = {});

// The recipe with every key written out; ParseRecipe gives an equal one back.
std::string RecipeToToml(const Recipe& recipe);

// docs/recipe-keys.md.
std::string RecipeKeysMarkdown();

}  // namespace stocha

#endif  // STOCHA_RECIPE_RECIPE_H_
