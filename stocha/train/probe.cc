#include "stocha/train/probe.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/model/checkpoint.h"
#include "stocha/recipe/schedule.h"
#include "stocha/train/gradients.h"
#include "stocha/train/optimizer.h"
#include "stocha/train/random_tokens.h"
#include "stocha/train/step_cost.h"
#include "stocha/train/teacher.h"
#include "stocha/train/tensor_memory.h"
#include "stocha/train/transformer.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

constexpr int64_t kSmallVocabulary = 1024;
constexpr int64_t kFewTokens = 512;

ForwardOptions OptionsOf(const Recipe& recipe, std::vector<GatedActivationStats>* stats) {
  stats->resize(recipe.model.num_hidden_layers);
  ForwardOptions options;
  options.activation = ActivationAt(recipe, 0);
  options.seed = recipe.seed;
  options.compute_type = recipe.compute_type;
  options.checkpoint_blocks = recipe.checkpoint_blocks;
  options.stats = *stats;
  return options;
}

Batch RandomBatch(const Recipe& recipe, int64_t sequences, int64_t length) {
  const at::Tensor windows = at::randint(recipe.model.vocab_size, {sequences, length + 1},
                                         at::detail::createCPUGenerator(1), at::kLong);
  return {windows.narrow(1, 0, length), windows.narrow(1, 1, length)};
}

// Weights that nothing was written to: where they are large they take no memory either.
std::vector<at::Tensor> UntouchedWeights(const ModelConfig& config) {
  std::vector<at::Tensor> weights;
  for (const TensorSpec& spec : ListTensors(config)) {
    weights.push_back(at::empty(spec.shape, at::kFloat));
  }
  return weights;
}

// Beyond weights and gradients, of a model cut down to `layers` and `vocabulary`.
StepMemory SmallStep(Recipe recipe, int64_t layers, int64_t vocabulary, int64_t sequences,
                     int64_t length) {
  recipe.model.num_hidden_layers = layers;
  recipe.model.vocab_size = vocabulary;
  const Transformer model(recipe.model, UntouchedWeights(recipe.model));
  for (const at::Tensor& weight : model.weights()) weight.mutable_grad() = at::zeros_like(weight);
  std::vector<GatedActivationStats> stats;
  const ForwardOptions options = OptionsOf(recipe, &stats);
  const TensorMemory memory;
  const Batch batch = RandomBatch(recipe, sequences, length);
  const at::Tensor loss = model.Loss(batch.ids, batch.targets, options);
  StepMemory taken;
  taken.activations = memory.live();
  loss.backward();
  taken.peak = memory.peak();
  return taken;
}

// The plane through three points, evaluated at `layers` and `vocabulary`.
double AtSize(double small, double two_layers, double two_vocabularies, const ModelConfig& model) {
  const double more_layers = static_cast<double>(model.num_hidden_layers - 1);
  const double more_vocabulary =
      static_cast<double>(model.vocab_size) / static_cast<double>(kSmallVocabulary) - 1;
  return small + more_layers * (two_layers - small) + more_vocabulary * (two_vocabularies - small);
}

// In f32 and in the compute type.
int64_t TeacherBytes(const Recipe& recipe) {
  if (recipe.teacher.empty()) return 0;
  const int64_t bytes = recipe.compute_type == ComputeType::kBF16 ? 6 : 8;
  return bytes * CountParameters(OpenCheckpoint(recipe.teacher).config);
}

int64_t FewTokens(const Recipe& recipe) { return std::min(recipe.sequence_length, kFewTokens); }

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

int64_t EstimateNeeds(const Recipe& recipe) {
  ModelConfig small = recipe.model;
  small.num_hidden_layers = 2;
  small.vocab_size = 2 * kSmallVocabulary;
  const StepCost cost = CostOfStep(small, FewTokens(recipe));
  // Gradients, and as much for the weights in the compute type and the activations.
  return 3 * cost.gradient_bytes;
}

StepMemory EstimateStepMemory(const Recipe& recipe) {
  const int64_t length = FewTokens(recipe);
  // [sequences - 1]: grows by the same number of bytes a token.
  StepMemory at_tokens[2];
  for (int64_t sequences = 1; sequences <= 2; ++sequences) {
    const StepMemory small = SmallStep(recipe, 1, kSmallVocabulary, sequences, length);
    const StepMemory layers = SmallStep(recipe, 2, kSmallVocabulary, sequences, length);
    const StepMemory vocabulary = SmallStep(recipe, 1, 2 * kSmallVocabulary, sequences, length);
    const auto whole = [&](int64_t StepMemory::* part) {
      return static_cast<int64_t>(AtSize(static_cast<double>(small.*part),
                                         static_cast<double>(layers.*part),
                                         static_cast<double>(vocabulary.*part), recipe.model));
    };
    at_tokens[sequences - 1] = {whole(&StepMemory::activations), whole(&StepMemory::peak)};
  }
  const double more = static_cast<double>(MicroBatchSize(recipe)) *
                          static_cast<double>(recipe.sequence_length) /
                          static_cast<double>(length) -
                      1;
  const auto extended = [&](int64_t StepMemory::* part) {
    const auto one = static_cast<double>(at_tokens[0].*part);
    const auto two = static_cast<double>(at_tokens[1].*part);
    return static_cast<int64_t>(one + more * (two - one));
  };
  StepMemory memory;
  memory.activations = extended(&StepMemory::activations);
  memory.peak = ResidentBytes() + CostOfStep(recipe.model, recipe.sequence_length).state_bytes() +
                TeacherBytes(recipe) + std::max(memory.activations, extended(&StepMemory::peak));
  return memory;
}

ProbedStep ProbeStep(const Recipe& recipe, int64_t steps) {
  const int64_t micro = MicroBatchSize(recipe);
  // The second micro batch runs beside the gradients of the first: the peak.
  const int64_t sequences = std::min(2 * micro, recipe.batch_size);
  const RandomTokens tokens(recipe, sequences);
  const TensorMemory memory;
  const Transformer model(recipe.model, RandomWeights(recipe.model, recipe.seed));
  SetTrained(recipe, model.specs(), model.weights());
  std::optional<Teacher> teacher;
  if (!recipe.teacher.empty()) {
    teacher.emplace(OpenCheckpoint(recipe.teacher), recipe.compute_type);
  }
  Optimizer optimizer(model.specs(), model.weights(), recipe);
  ProbedStep result;
  {
    std::vector<GatedActivationStats> stats;
    const Batch batch = RandomBatch(recipe, micro, recipe.sequence_length);
    const int64_t before = memory.live();
    const at::Tensor loss = model.Loss(batch.ids, batch.targets, OptionsOf(recipe, &stats));
    result.memory.activations = memory.live() - before;
    loss.backward();
    optimizer.DropGradients();
  }
  const auto seconds_of = [&](int64_t step) {
    const auto start = std::chrono::steady_clock::now();
    AccumulateGradients(model, teacher ? &*teacher : nullptr, tokens.order(), recipe, step,
                        sequences);
    const double gradients = SecondsSince(start);
    optimizer.Step(LearningRateAt(recipe, step), optimizer.GradientNorm());
    const double update = SecondsSince(start) - gradients;
    const double passes = static_cast<double>(recipe.batch_size) / static_cast<double>(sequences);
    return passes * gradients + update;
  };
  // The first step and the last stand for all of the two kinds that a recipe with a teacher may
  // have.
  const double layerwise = recipe.layerwise_until;
  std::vector<double> seconds;
  seconds.reserve(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps; ++i) {
    seconds.push_back((layerwise > 0 ? layerwise * seconds_of(0) : 0) +
                      (layerwise < 1 ? (1 - layerwise) * seconds_of(recipe.steps - 1) : 0));
  }
  result.memory.peak = PeakResidentBytes();
  result.tokens_per_s = static_cast<double>(recipe.batch_size) *
                        static_cast<double>(recipe.sequence_length) / Median(seconds);
  return result;
}

}  // namespace stocha
