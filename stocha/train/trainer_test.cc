#include "stocha/train/trainer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/model/checkpoint.h"
#include "stocha/train/run_folder.h"
#include "stocha/train/tiny_run.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

class TrainerTest : public TinyRunTest {
 protected:
  // The message of the Error that training throws; "" when it throws none.
  std::string ErrorOf(const std::string& run, const Recipe& recipe, bool resume = false) {
    try {
      TrainIn(run, recipe, resume);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::vector<std::string> CheckpointsOf(const std::string& run) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / run / "checkpoints")) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string FinalWeights(const std::string& run) const {
    return ReadFile(folder_ / run / "final/model.safetensors");
  }
};

// Every figure but the speed.
void ExpectSameSteps(const RunMetrics& a, const RunMetrics& b) {
  ASSERT_EQ(a.steps.size(), b.steps.size());
  for (size_t i = 0; i < a.steps.size(); ++i) {
    EXPECT_EQ(a.steps[i].step, b.steps[i].step);
    EXPECT_EQ(a.steps[i].loss, b.steps[i].loss) << "step " << i;
    EXPECT_EQ(a.steps[i].gradient_norm, b.steps[i].gradient_norm) << "step " << i;
    EXPECT_EQ(a.steps[i].learning_rate, b.steps[i].learning_rate);
    EXPECT_EQ(a.steps[i].sparsity, b.steps[i].sparsity);
  }
  ASSERT_EQ(a.validations.size(), b.validations.size());
  for (size_t i = 0; i < a.validations.size(); ++i) {
    EXPECT_EQ(a.validations[i].loss, b.validations[i].loss);
    EXPECT_EQ(a.validations[i].activation, b.validations[i].activation);
  }
}

TEST_F(TrainerTest, LearnsAndExportsWhatItTrained) {
  Recipe recipe = TinyRecipe();
  recipe.steps = 60;
  EXPECT_TRUE(TrainIn("run", recipe).finished);
  EXPECT_LT(observer_.steps.back().loss, 0.7 * observer_.steps.front().loss);

  const Checkpoint exported = OpenCheckpoint(folder_ / "run/final");
  EXPECT_EQ(exported.config.activation, Activation{});
  EXPECT_EQ(exported.config.vocab_size, kTinyVocabulary);
  // The last checkpoint holds the same weights.
  const Checkpoint last = OpenCheckpoint(folder_ / "run/checkpoints/step-00000060");
  for (const TensorSpec& spec : ListTensors(exported.config)) {
    EXPECT_EQ(ToFloat32(exported.Get(spec), spec.name), ToFloat32(last.Get(spec), spec.name));
  }
  ASSERT_EQ(observer_.notes.size(), 1u);
  EXPECT_NE(observer_.notes[0].find("llama.cpp"), std::string::npos);
}

TEST_F(TrainerTest, ExportsBf16AsTheNearestOfF32) {
  Recipe recipe = TinyRecipe();
  TrainIn("f32", recipe);
  recipe.export_type = DType::kBF16;
  TrainIn("bf16", recipe);
  const Checkpoint wide = OpenCheckpoint(folder_ / "f32/final");
  const Checkpoint narrow = OpenCheckpoint(folder_ / "bf16/final");
  for (const TensorSpec& spec : ListTensors(wide.config)) {
    ASSERT_EQ(narrow.Get(spec).dtype, DType::kBF16);
    std::vector<float> expected = ToFloat32(wide.Get(spec), spec.name);
    for (float& value : expected) value = BF16ToF32(F32ToBF16(value));
    EXPECT_EQ(ToFloat32(narrow.Get(spec), spec.name), expected);
  }
}

// Of the validation loss at the end, over seeds: one changes the weights at the start, the batches
// and the coins.
TEST_F(TrainerTest, Bf16EndsWhereF32DoesWithinTheSpreadOfSeeds) {
  Recipe recipe = TinyRecipe();
  recipe.steps = 50;
  std::vector<double> f32;
  double largest_difference = 0;
  for (const uint64_t seed : {1, 2, 3, 4}) {
    recipe.seed = seed;
    const auto final_loss = [&](ComputeType type, const std::string& name) {
      recipe.compute_type = type;
      TrainIn(name + std::to_string(seed), recipe);
      return observer_.validations.back().loss;
    };
    f32.push_back(final_loss(ComputeType::kF32, "f32"));
    const double difference = final_loss(ComputeType::kBF16, "bf16") - f32.back();
    EXPECT_NE(difference, 0);
    largest_difference = std::max(largest_difference, std::abs(difference));
  }
  const auto [least, greatest] = std::minmax_element(f32.begin(), f32.end());
  EXPECT_LT(largest_difference, (*greatest - *least) / 4);
}

class ResumeTest : public TrainerTest, public testing::WithParamInterface<ComputeType> {};

TEST_P(ResumeTest, ContinuesWithTheSameBits) {
  Recipe recipe = TinyRecipe();
  recipe.compute_type = GetParam();
  recipe.micro_batch_size = 2;
  TrainIn("whole", recipe);
  const TrainingResult stopped = TrainIn("parts", recipe, /*resume=*/false, /*max_steps=*/3);
  EXPECT_FALSE(stopped.finished);
  EXPECT_EQ(stopped.steps, 3);
  EXPECT_FALSE(fs::exists(folder_ / "parts/final"));
  EXPECT_TRUE(TrainIn("parts", recipe, /*resume=*/true).finished);
  EXPECT_EQ(observer_.starts.back().step, 3);

  ExpectSameSteps(ReadRunMetrics(folder_ / "whole"), ReadRunMetrics(folder_ / "parts"));
  EXPECT_EQ(FinalWeights("whole"), FinalWeights("parts"));
}

INSTANTIATE_TEST_SUITE_P(ComputeTypes, ResumeTest,
                         testing::Values(ComputeType::kF32, ComputeType::kBF16),
                         [](const auto& type) {
                           return type.param == ComputeType::kF32 ? "F32" : "BF16";
                         });

TEST_F(TrainerTest, ResumesFromAnOlderCheckpointWhenTheNewestIsBroken) {
  Recipe recipe = TinyRecipe();
  recipe.checkpoint_every = 2;
  TrainIn("whole", recipe);
  const RunMetrics whole = ReadRunMetrics(folder_ / "whole");
  fs::resize_file(folder_ / "whole/checkpoints/step-00000006/optimizer.safetensors", 100);
  TrainIn("whole", recipe, /*resume=*/true);
  EXPECT_EQ(observer_.starts.back().step, 4);
  ExpectSameSteps(whole, ReadRunMetrics(folder_ / "whole"));
}

TEST_F(TrainerTest, RefusesToStartOverWhenNoCheckpointCanBeRead) {
  const Recipe recipe = TinyRecipe();
  TrainIn("run", recipe);
  fs::remove(folder_ / "run/checkpoints/step-00000006/state.json");
  EXPECT_NE(ErrorOf("run", recipe, /*resume=*/true).find("state.json"), std::string::npos);
}

TEST_F(TrainerTest, ResumingAFinishedRunExportsAgain) {
  const Recipe recipe = TinyRecipe();
  TrainIn("run", recipe);
  const std::string weights = FinalWeights("run");
  fs::remove_all(folder_ / "run/final");
  EXPECT_TRUE(TrainIn("run", recipe, /*resume=*/true).finished);
  EXPECT_EQ(FinalWeights("run"), weights);
  EXPECT_EQ(ReadRunMetrics(folder_ / "run").steps.size(), 6u);
}

TEST_F(TrainerTest, ResumeWithoutACheckpointStartsAtStep0) {
  EXPECT_TRUE(TrainIn("run", TinyRecipe(), /*resume=*/true).finished);
  EXPECT_EQ(observer_.starts.back().step, 0);
}

TEST_F(TrainerTest, CleansUpAfterAKilledProcess) {
  const Recipe recipe = TinyRecipe();
  TrainIn("run", recipe, /*resume=*/false, /*max_steps=*/3);
  fs::create_directories(folder_ / "run/checkpoints/step-00000004.tmp-123");
  WriteFile(folder_ / "run/recipe.toml.tmp-99", "half");
  TrainIn("run", recipe, /*resume=*/true);
  EXPECT_FALSE(fs::exists(folder_ / "run/checkpoints/step-00000004.tmp-123"));
  EXPECT_FALSE(fs::exists(folder_ / "run/recipe.toml.tmp-99"));
}

TEST_F(TrainerTest, KeepsTheNewestCheckpoints) {
  Recipe recipe = TinyRecipe();
  recipe.checkpoint_every = 1;
  recipe.keep_checkpoints = 3;
  TrainIn("run", recipe);
  EXPECT_EQ(CheckpointsOf("run"),
            (std::vector<std::string>{"step-00000004", "step-00000005", "step-00000006"}));
}

TEST_F(TrainerTest, StopsAtANaNAndKeepsTheLastGoodCheckpoint) {
  Recipe recipe = TinyRecipe();
  TrainIn("run", recipe, /*resume=*/false, /*max_steps=*/2);
  // The update of step 0 throws the weights out of range; a checkpoint is due right after it.
  recipe.learning_rate = 1e30;
  recipe.checkpoint_every = 1;
  const std::string message = ErrorOf("bad", recipe);
  EXPECT_NE(message.find("step 1"), std::string::npos) << message;
  EXPECT_NE(message.find("not finite"), std::string::npos) << message;
  EXPECT_TRUE(CheckpointsOf("bad").empty());
  EXPECT_FALSE(fs::exists(folder_ / "bad/final"));

  // Without a checkpoint in between, the next step finds out.
  recipe.checkpoint_every = 0;
  EXPECT_NE(ErrorOf("later", recipe).find("step 1: "), std::string::npos);
  EXPECT_EQ(ReadRunMetrics(folder_ / "later").steps.size(), 1u);
}

TEST_F(TrainerTest, AFullDiskLeavesTheRunResumable) {
  Recipe recipe = TinyRecipe();
  TrainIn("whole", recipe);
  TrainIn("run", recipe, /*resume=*/false, /*max_steps=*/3);
  // Files that may not grow past 4 KiB stand in for a disk without room for the next checkpoint.
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small{.rlim_cur = 4096, .rlim_max = old_limit.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = ErrorOf("run", recipe, /*resume=*/true);
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_NE(message.find("step 6: no checkpoint"), std::string::npos) << message;
  EXPECT_NE(message.find("step-00000003"), std::string::npos) << message;
  EXPECT_EQ(CheckpointsOf("run"), std::vector<std::string>{"step-00000003"});

  TrainIn("run", recipe, /*resume=*/true);
  EXPECT_EQ(FinalWeights("run"), FinalWeights("whole"));
}

TEST_F(TrainerTest, RefusesAFolderThatIsNotItsOwn) {
  const Recipe recipe = TinyRecipe();
  fs::create_directories(folder_ / "run");
  WriteFile(folder_ / "run/letter.txt", "dear");
  EXPECT_NE(ErrorOf("run", recipe).find("--resume"), std::string::npos);
  EXPECT_NE(ErrorOf("run", recipe, /*resume=*/true).find("recipe.toml"), std::string::npos);
  EXPECT_NE(ErrorOf("train.tokens", recipe).find("not a folder"), std::string::npos);
}

TEST_F(TrainerTest, OneProcessAtATime) {
  RunFolder same(folder_ / "run", /*resume=*/false);
  same.Create("seed = 1\n");
  EXPECT_NE(ErrorOf("run", TinyRecipe(), /*resume=*/true).find("another process"),
            std::string::npos);
}

TEST_F(TrainerTest, BadInputLeavesNoFolderBehind) {
  Recipe recipe = TinyRecipe();
  recipe.train = {(folder_ / "missing.tokens").string()};
  EXPECT_NE(ErrorOf("run", recipe).find("missing.tokens"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(TrainerTest, RefusesToContinueOnOtherData) {
  const Recipe recipe = TinyRecipe();
  TrainIn("run", recipe, /*resume=*/false, /*max_steps=*/3);
  WriteShard("train.tokens", 1000);
  EXPECT_NE(ErrorOf("run", recipe, /*resume=*/true).find("training data has changed"),
            std::string::npos);
}

TEST_F(TrainerTest, SaysWhenTheThreadCountChanges) {
  Recipe recipe = TinyRecipe();
  TrainIn("run", recipe, /*resume=*/false, /*max_steps=*/3);
  recipe.threads = 2;
  TrainIn("run", recipe, /*resume=*/true);
  ASSERT_EQ(observer_.notes.size(), 2u);  // the other is the export's
  EXPECT_NE(observer_.notes[0].find("thread count 2 instead of 1"), std::string::npos);
}

TEST_F(TrainerTest, StartsFromAnotherModel) {
  Recipe recipe = TinyRecipe();
  TrainIn("first", recipe);
  Recipe second = recipe;
  second.model = {};
  second.init_from = (folder_ / "first/final").string();
  second.learning_rate = 1e-12;
  second.steps = 1;
  second.activation = {{.until = 1, .activation = {}}};
  TrainIn("second", second);
  // Nothing learnt in one step of no length: the same model.
  ASSERT_GE(observer_.validations.size(), 3u);  // the first run's, before the step, after it
  const ValidationMetrics& before = observer_.validations[observer_.validations.size() - 2];
  EXPECT_EQ(before.step, 0);
  EXPECT_EQ(before.loss, observer_.validations[observer_.validations.size() - 3].loss);
  EXPECT_NEAR(observer_.validations.back().loss, before.loss, 1e-6);

  second.model = recipe.model;
  second.model.hidden_size = 32;
  EXPECT_NE(ErrorOf("third", second).find("another shape"), std::string::npos);
}

TEST_F(TrainerTest, RefusesMoreTokensThanTheModelHas) {
  Recipe recipe = TinyRecipe();
  recipe.model.vocab_size = kTinyVocabulary - 1;
  EXPECT_NE(ErrorOf("run", recipe).find("at most vocab_size 18"), std::string::npos);
}

TEST_F(TrainerTest, ValidatesBeforeAndAfterTheSwitch) {
  Recipe recipe = TinyRecipe();
  recipe.validate_every = 3;
  TrainIn("run", recipe);
  std::vector<std::pair<int64_t, std::string>> seen;
  for (const ValidationMetrics& validation : observer_.validations) {
    seen.emplace_back(validation.step, validation.activation);
    EXPECT_EQ(validation.sparsity.size(), 2u);
  }
  const std::string stochastic = ToString(StochasticActivation(0.7));
  const std::vector<std::pair<int64_t, std::string>> expected = {
      {3, stochastic}, {4, stochastic}, {4, "relu"}, {6, "relu"}};
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(observer_.steps[3].activation, stochastic);
  EXPECT_EQ(observer_.steps[4].activation, "relu");
  EXPECT_EQ(observer_.steps[4].p, 0);
}

}  // namespace
}  // namespace stocha
