// Every key of a recipe, said once: name, member, limits and meaning. Reader, writer and the page
// of keys (docs/recipe-keys.md) are visitors of this list.
//
// A visitor has: Table(name, doc), Field(key, member, range, doc) for numbers, Field(key, member,
// doc) for bool and Activation, Enum(key, member, names, doc) and Enums for a list of them, Path
// and Paths(key, member, doc), and Phases(name, phases, doc), which visits VisitPhase for each
// element.
#ifndef STOCHA_RECIPE_FIELDS_H_
#define STOCHA_RECIPE_FIELDS_H_

#include <limits>
#include <string>
#include <string_view>

#include "stocha/recipe/recipe.h"

namespace stocha {

// The finite numbers from min to max; open_min leaves min itself out, likewise open_max.
struct NumberRange {
  double min = 0;
  double max = std::numeric_limits<double>::infinity();
  bool open_min = false;
  bool open_max = false;

  bool Contains(double value) const {
    return (open_min ? value > min : value >= min) && (open_max ? value < max : value <= max) &&
           value < std::numeric_limits<double>::infinity();
  }
  std::string ToString() const;  // "from 0 to 1", "at least 0"
};

// Counts stop here, so that sums and products of a few of them cannot overflow int64.
inline constexpr double kLargestCount = 2147483647;

inline constexpr NumberRange kAnyCount{.min = 0, .max = kLargestCount};
inline constexpr NumberRange kPositiveCount{.min = 1, .max = kLargestCount};
inline constexpr NumberRange kPositive{.open_min = true};
inline constexpr NumberRange kNotNegative{};
inline constexpr NumberRange kFraction{.max = 1};
inline constexpr NumberRange kBelowOne{.max = 1, .open_max = true};

// "hidden_size" of "model.hidden_size".
inline std::string_view LastPartOfKey(std::string_view key) {
  return key.substr(key.rfind('.') + 1);  // npos + 1 is 0
}

template <typename E>
struct EnumName {
  E value;
  std::string_view name;
};

inline constexpr EnumName<Architecture> kArchitectureNames[] = {{Architecture::kLlama, "llama"},
                                                                {Architecture::kQwen2, "qwen2"},
                                                                {Architecture::kQwen3, "qwen3"}};
inline constexpr EnumName<RopeScaling::Type> kRopeTypeNames[] = {
    {RopeScaling::Type::kNone, "default"},
    {RopeScaling::Type::kLinear, "linear"},
    {RopeScaling::Type::kLlama3, "llama3"}};
inline constexpr EnumName<LearningRateSchedule> kScheduleNames[] = {
    {LearningRateSchedule::kCosine, "cosine"}, {LearningRateSchedule::kWsd, "wsd"}};
inline constexpr EnumName<ComputeType> kComputeTypeNames[] = {{ComputeType::kF32, "f32"},
                                                              {ComputeType::kBF16, "bf16"}};
inline constexpr EnumName<WeightGroup> kWeightGroupNames[] = {
    {WeightGroup::kAttention, "attention"},
    {WeightGroup::kGate, "gate"},
    {WeightGroup::kUp, "up"},
    {WeightGroup::kDown, "down"},
    {WeightGroup::kNorms, "norms"},
    {WeightGroup::kEmbedding, "embedding"}};
inline constexpr EnumName<DType> kExportTypeNames[] = {{DType::kF32, "f32"},
                                                       {DType::kBF16, "bf16"}};

// `P` is ActivationPhase or const ActivationPhase; likewise `M` and `R` below.
template <typename P, typename V>
void VisitPhase(P& phase, V& v) {
  v.Field("until", phase.until, {.max = 1, .open_min = true},
          "The phase's end, as a fraction of all steps; rising, and 1 for the last phase");
  v.Field("activation", phase.activation,
          "`relu`, `silu`, `relu2`, `stocha:P` or `expected:P`; the last two take `,smooth` or "
          "`,blend`, and `stocha` also `,token` or `,layer`");
  v.Field("anneal_to", phase.anneal_to, {.min = -1, .max = 1},
          "p moves linearly to this by the phase's end; -1: p is constant");
}

template <typename M, typename V>
void VisitModel(M& model, V& v) {
  v.Enum("model.architecture", model.architecture, kArchitectureNames,
         "`qwen2` has a bias on q, k and v; `qwen3` an RMSNorm on q and k");
  v.Field("model.vocab_size", model.vocab_size, kAnyCount, "0: the tokenizer's");
  v.Field("model.hidden_size", model.hidden_size, kAnyCount, "Needed unless `init_from` is set");
  v.Field("model.intermediate_size", model.intermediate_size, kAnyCount,
          "Hidden units of a feed-forward layer; needed unless `init_from` is set");
  v.Field("model.num_hidden_layers", model.num_hidden_layers, kAnyCount,
          "Needed unless `init_from` is set");
  v.Field("model.num_attention_heads", model.num_attention_heads, kAnyCount,
          "Needed unless `init_from` is set");
  v.Field("model.num_key_value_heads", model.num_key_value_heads, kAnyCount,
          "0: `num_attention_heads`");
  v.Field("model.head_dim", model.head_dim, kAnyCount, "0: `hidden_size / num_attention_heads`");
  v.Field("model.max_position_embeddings", model.max_position_embeddings, kPositiveCount,
          "The longest context the exported model claims");
  v.Field("model.rms_norm_eps", model.rms_norm_eps, kPositive, "Added to the mean square");
  v.Field("model.rope_theta", model.rope_theta, kPositive, "Base of the rotary frequencies");
  v.Field("model.tie_word_embeddings", model.tie_word_embeddings,
          "The head shares the embedding's weights");
  v.Table("model.rope_scaling", "Stretched rotary frequencies, with transformers' keys.");
  v.Enum("model.rope_scaling.rope_type", model.rope_scaling.type, kRopeTypeNames,
         "`default`: no scaling, and the keys below do nothing");
  v.Field("model.rope_scaling.factor", model.rope_scaling.factor, kPositive,
          "Positions are divided by this");
  v.Field("model.rope_scaling.low_freq_factor", model.rope_scaling.low_freq_factor, kPositive,
          "`llama3` only");
  v.Field("model.rope_scaling.high_freq_factor", model.rope_scaling.high_freq_factor, kPositive,
          "`llama3` only");
  v.Field("model.rope_scaling.original_max_position_embeddings",
          model.rope_scaling.original_max_position_embeddings, kPositiveCount, "`llama3` only");
}

template <typename R, typename V>
void VisitOptimizer(R& recipe, V& v) {
  v.Field("optimizer.learning_rate", recipe.learning_rate, kPositive, "At its peak");
  v.Field("optimizer.min_learning_rate_ratio", recipe.min_learning_rate_ratio, kFraction,
          "The floor, as a fraction of `learning_rate`");
  v.Enum("optimizer.schedule", recipe.schedule, kScheduleNames,
         "After the warm-up: `cosine` falls to the floor along half a cosine; `wsd` stays at the "
         "peak, then falls linearly over the last `decay_fraction`");
  v.Field("optimizer.warmup_steps", recipe.warmup_steps, kAnyCount,
          "The rate rises linearly over these");
  v.Field("optimizer.decay_fraction", recipe.decay_fraction, kFraction, "Of all steps; `wsd` only");
  v.Field("optimizer.beta1", recipe.beta1, kBelowOne, "Of AdamW");
  v.Field("optimizer.beta2", recipe.beta2, kBelowOne, "Of AdamW");
  v.Field("optimizer.epsilon", recipe.epsilon, kPositive, "Of AdamW");
  v.Field("optimizer.weight_decay", recipe.weight_decay, kNotNegative, "None on norms and biases");
  v.Field("optimizer.clip_norm", recipe.clip_norm, kNotNegative,
          "Largest norm of the whole gradient; 0: no clipping");
}

template <typename R, typename V>
void VisitTraining(R& recipe, V& v) {
  v.Field("training.steps", recipe.steps, kPositiveCount, "Updates of the weights");
  v.Field("training.batch_size", recipe.batch_size, kPositiveCount, "Sequences a step");
  v.Field("training.micro_batch_size", recipe.micro_batch_size, kAnyCount,
          "Sequences a forward pass; divides `batch_size`; 0: `batch_size`");
  v.Field("training.checkpoint_blocks", recipe.checkpoint_blocks,
          "Keep each block's input alone and compute the block again in the backward pass: less "
          "memory, about a quarter more time, the same bits");
  v.Enum("training.compute_type", recipe.compute_type, kComputeTypeNames,
         "Of the forward and backward pass; weights and optimizer are f32");
  v.Field("training.threads", recipe.threads, {.max = 4096}, "0: all processors");
  v.Field("training.validate_every", recipe.validate_every, kAnyCount,
          "Steps; 0: at the end and where the activation changes only");
  v.Field("training.validation_batches", recipe.validation_batches, kAnyCount,
          "Of `micro_batch_size` sequences; 0: all of the validation data");
  v.Field("training.checkpoint_every", recipe.checkpoint_every, kAnyCount,
          "Steps; 0: never by steps");
  v.Field("training.checkpoint_minutes", recipe.checkpoint_minutes, kNotNegative,
          "0: never by time");
  v.Field("training.keep_checkpoints", recipe.keep_checkpoints, kPositiveCount,
          "Older ones are removed");
  v.Field("training.l1", recipe.l1, kNotNegative,
          "Times the mean |hidden activation|, summed over layers, added to the loss");
  v.Enum("training.export_type", recipe.export_type, kExportTypeNames,
         "Of the exported model's weights");
  v.Enums("training.train_only", recipe.train_only, kWeightGroupNames,
          "The weights that are trained, the head being part of `embedding`; empty: all");
}

template <typename R, typename V>
void VisitDistill(R& recipe, V& v) {
  v.Path("distill.teacher", recipe.teacher,
         "A model folder, run with its own activation on the same batches; empty: none");
  v.Field("distill.layerwise_until", recipe.layerwise_until, kFraction,
          "As a fraction of all steps: until then each feed-forward layer learns the teacher's "
          "output from the teacher's input, and nothing else is trained");
  v.Field("distill.fit_tokens", recipe.fit_tokens, kAnyCount,
          "Once, from the first layer on, attention's output projection (if attention is trained) "
          "and the down projection are set by least squares to reach the teacher's residual stream "
          "on so many tokens, those after the run's own, with the exported model's activation; 0: "
          "never");
  v.Field("distill.fit_at", recipe.fit_at, kFraction,
          "When: as a fraction of all steps, not after `layerwise_until`");
  v.Field("distill.kl_weight", recipe.kl_weight, kFraction,
          "After that the loss is `1 - kl_weight` times the cross-entropy plus `kl_weight` times "
          "the divergence from the teacher's distribution");
}

template <typename R, typename V>
void VisitRecipe(R& recipe, V& v) {
  v.Field("seed", recipe.seed, kNotNegative, "Of weights, batches and coins; below 2^63");
  v.Table("model", "The shape, under Hugging Face's names, and where the model starts from.");
  v.Path("model.tokenizer", recipe.tokenizer,
         "A `tokenizer.json`, copied into the exported model; may be empty");
  v.Path(
      "model.init_from", recipe.init_from,
      "A model folder to start from; the shape below may then be left out. Empty: random weights");
  VisitModel(recipe.model, v);
  v.Table("data", "Token shards, made by `stocha tokenize`.");
  v.Paths("data.train", recipe.train, "Shards, or folders of `*.tokens`; needed");
  v.Paths("data.validation", recipe.validation, "Likewise; may be empty");
  v.Field("data.sequence_length", recipe.sequence_length, kPositiveCount, "Tokens a sequence");
  v.Table("optimizer", "AdamW and its schedule.");
  VisitOptimizer(recipe, v);
  v.Table("training", "How long, how wide, and what is kept.");
  VisitTraining(recipe, v);
  v.Table("distill", "Learning from another model, e.g. the one that training starts from.");
  VisitDistill(recipe, v);
  v.Phases("activation", recipe.activation, "The activation, phase after phase. At least one.");
}

}  // namespace stocha

#endif  // STOCHA_RECIPE_FIELDS_H_
