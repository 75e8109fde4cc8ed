// For tests: a model of a few thousand weights on a text of a few thousand tokens, in a folder of
// its own that is removed at the end.
#ifndef STOCHA_TRAIN_TINY_RUN_H_
#define STOCHA_TRAIN_TINY_RUN_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "stocha/data/token_shard.h"
#include "stocha/recipe/recipe.h"
#include "stocha/report/metrics.h"
#include "stocha/train/trainer.h"

namespace stocha {

inline constexpr uint32_t kTinyVocabulary = 19;

// An observer that remembers.
class RecordingObserver : public TrainingObserver {
 public:
  void OnStart(const TrainingStart& start) override { starts.push_back(start); }
  void OnFittedLayer(int layers, int) override { fitted_layers.push_back(layers); }
  void OnStep(const StepMetrics& metrics) override { steps.push_back(metrics); }
  void OnValidation(const ValidationMetrics& metrics) override { validations.push_back(metrics); }
  void OnCheckpoint(const std::filesystem::path& directory) override {
    checkpoints.push_back(directory);
  }
  void OnNote(const std::string& note) override { notes.push_back(note); }

  std::vector<TrainingStart> starts;
  std::vector<int> fitted_layers;
  std::vector<StepMetrics> steps;
  std::vector<ValidationMetrics> validations;
  std::vector<std::filesystem::path> checkpoints;
  std::vector<std::string> notes;
};

// One folder a test, with train.tokens and validation.tokens.
class TinyRunTest : public testing::Test {
 protected:
  TinyRunTest() {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("stocha_") + info->test_suite_name() + "_" + info->name() + "_" +
               std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    WriteShard("train.tokens", 2000);
    WriteShard("validation.tokens", 200);
  }
  ~TinyRunTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // A cycle over the vocabulary with a hiccup now and then: easy to learn, not trivial.
  void WriteShard(const std::string& name, int32_t tokens) const {
    std::vector<int32_t> ids(tokens);
    for (int32_t i = 0; i < tokens; ++i) {
      ids[i] = (3 * i + i / 50) % static_cast<int32_t>(kTinyVocabulary);
    }
    TokenShardWriter writer(folder_ / name, kTinyVocabulary, TokenizerDigest{});
    writer.Append(ids, static_cast<uint64_t>(tokens));
    writer.Commit();
  }

  // 6 steps of 4 sequences of 8 tokens, StochA until 2/3 of them, then ReLU; f32 on one thread.
  Recipe TinyRecipe() const {
    Recipe recipe;
    recipe.seed = 5;
    recipe.model.vocab_size = kTinyVocabulary;
    recipe.model.hidden_size = 16;
    recipe.model.intermediate_size = 24;
    recipe.model.num_hidden_layers = 2;
    recipe.model.num_attention_heads = 4;
    recipe.model.num_key_value_heads = 2;
    recipe.model.head_dim = 4;
    recipe.train = {(folder_ / "train.tokens").string()};
    recipe.validation = {(folder_ / "validation.tokens").string()};
    recipe.sequence_length = 8;
    recipe.learning_rate = 1e-2;
    recipe.steps = 6;
    recipe.batch_size = 4;
    recipe.compute_type = ComputeType::kF32;
    recipe.threads = 1;
    recipe.checkpoint_minutes = 0;
    recipe.activation = {{.until = 2.0 / 3, .activation = StochasticActivation(0.7)},
                         {.until = 1, .activation = {}}};
    return recipe;
  }

  TrainOptions Options(const std::string& run, bool resume = false) const {
    TrainOptions options;
    options.run = folder_ / run;
    options.resume = resume;
    return options;
  }

  // Trains to the end, or for `max_steps` steps.
  TrainingResult TrainIn(const std::string& run, const Recipe& recipe, bool resume = false,
                         int64_t max_steps = INT64_MAX) {
    TrainOptions options = Options(run, resume);
    const size_t before = observer_.steps.size();
    options.stop_requested = [this, before, max_steps] {
      return static_cast<int64_t>(observer_.steps.size() - before) >= max_steps;
    };
    return Train(recipe, options, &observer_);
  }

  std::filesystem::path folder_;
  RecordingObserver observer_;
};

// With a SiLU model trained for a few steps, in folder_ / "teacher/final".
class TaughtRunTest : public TinyRunTest {
 protected:
  TaughtRunTest() {
    Recipe recipe = TinyRecipe();
    recipe.steps = 30;
    recipe.activation = {{.until = 1, .activation = {.kind = ActivationKind::kSilu}}};
    TrainIn("teacher", recipe);
    observer_ = {};
  }

  std::string teacher() const { return (folder_ / "teacher/final").string(); }
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_TINY_RUN_H_
