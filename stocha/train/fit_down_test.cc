#include "stocha/train/fit_down.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "stocha/base/file.h"
#include "stocha/train/gradients.h"
#include "stocha/train/tiny_run.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

class FitDownTest : public TaughtRunTest {
 protected:
  FitDownTest() : shards_(OpenShards(TinyRecipe().train)) {}

  Recipe Pupil() const {
    Recipe recipe = TinyRecipe();
    recipe.model = OpenCheckpoint(teacher()).config;
    recipe.fit_tokens = 600;
    recipe.activation = {{.until = 1, .activation = {}}};
    return recipe;
  }

  std::vector<TokenShard> shards_;
};

// The error by AccumulateLayerwise's own arithmetic, on the tokens of the fit.
double Error(const Transformer& student, const Teacher& teacher, const BatchOrder& order,
             const Recipe& recipe) {
  const int64_t windows = (recipe.fit_tokens - 1) / recipe.sequence_length + 1;
  const Batch batch = ReadBatch(windows, recipe.sequence_length, [&](int64_t i, auto window) {
    order.ReadShuffled(static_cast<uint64_t>(i), window);
  });
  ForwardOptions options;
  options.weights = student.CastWeights(ComputeType::kF32);
  return AccumulateLayerwise(student, teacher, batch.ids, options, 1);
}

TEST_F(FitDownTest, LowersTheErrorByWhatItSays) {
  const Checkpoint checkpoint = OpenCheckpoint(teacher());
  const Recipe recipe = Pupil();
  const Teacher of_it(checkpoint, ComputeType::kF32);
  const Transformer student(checkpoint.config, LoadWeights(checkpoint));
  const BatchOrder order(shards_, recipe.sequence_length, recipe.seed);
  const double before = Error(student, of_it, order, recipe);
  const DownFit fit = FitDown(student, of_it, order, recipe, /*step=*/0);
  const double after = Error(student, of_it, order, recipe);
  EXPECT_NEAR(fit.error_before, before, 1e-4 * before);
  EXPECT_NEAR(fit.error_after, after, 1e-3 * before);
  EXPECT_LT(after, 0.5 * before);
  const std::vector<at::Tensor> old = LoadWeights(checkpoint);
  for (size_t i = 0; i < old.size(); ++i) {
    const bool same = old[i].equal(student.weights()[i]);
    EXPECT_EQ(same, student.specs()[i].role != TensorRole::kDown) << student.specs()[i].name;
  }
}

// Near the fit no direction leads down: whatever is added to a projection, the error grows, but for
// what the ridge has kept back.
TEST_F(FitDownTest, NoProjectionNearbyIsBetter) {
  const Checkpoint checkpoint = OpenCheckpoint(teacher());
  const Recipe recipe = Pupil();
  const Teacher of_it(checkpoint, ComputeType::kF32);
  const Transformer student(checkpoint.config, LoadWeights(checkpoint));
  const BatchOrder order(shards_, recipe.sequence_length, recipe.seed);
  FitDown(student, of_it, order, recipe, /*step=*/0);
  const double fitted = Error(student, of_it, order, recipe);
  for (size_t i = 0; i < student.specs().size(); ++i) {
    if (student.specs()[i].role != TensorRole::kDown) continue;
    for (const float sign : {-1.0f, 1.0f}) {
      std::vector<at::Tensor> weights;
      for (const at::Tensor& weight : student.weights()) weights.push_back(weight.detach().clone());
      float* values = weights[i].mutable_data_ptr<float>();
      for (int64_t j = 0; j < weights[i].numel(); ++j) {
        values[j] += sign * 0.02f * std::sin(static_cast<float>(7 * j));
      }
      EXPECT_GT(Error(Transformer(checkpoint.config, weights), of_it, order, recipe), fitted);
    }
  }
}

TEST_F(FitDownTest, AModelWithItsOwnActivationStays) {
  const Checkpoint checkpoint = OpenCheckpoint(teacher());
  Recipe recipe = Pupil();
  recipe.activation = {{.until = 1, .activation = {.kind = ActivationKind::kSilu}}};
  const Teacher of_it(checkpoint, ComputeType::kF32);
  const Transformer student(checkpoint.config, LoadWeights(checkpoint));
  const BatchOrder order(shards_, recipe.sequence_length, recipe.seed);
  EXPECT_NEAR(FitDown(student, of_it, order, recipe, /*step=*/0).error_before, 0, 1e-6);
  const std::vector<at::Tensor> old = LoadWeights(checkpoint);
  for (size_t i = 0; i < old.size(); ++i) {
    EXPECT_LT((old[i] - student.weights()[i]).abs().max().item<float>(), 1e-4);
  }
}

// At the start, and between two phases; a run that is cut just there ends with the same bits.
TEST_F(FitDownTest, TrainingFitsOnce) {
  for (const double at : {0.0, 0.5}) {
    const std::string name = at == 0 ? "start" : "half";
    Recipe recipe = Pupil();
    recipe.model = ModelConfig{};
    recipe.init_from = recipe.teacher = teacher();
    recipe.steps = 6;
    recipe.layerwise_until = 0.5;
    recipe.fit_at = at;
    recipe.checkpoint_every = 1;
    observer_ = {};
    TrainIn(name, recipe);
    int notes = 0;
    for (const std::string& note : observer_.notes) {
      notes += note.find("down projections fitted on 600 tokens") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(notes, 1);
    TrainIn(name + "-cut", recipe, /*resume=*/false, 3);
    TrainIn(name + "-cut", recipe, /*resume=*/true);
    EXPECT_EQ(ReadFile(folder_ / (name + "-cut/final/model.safetensors")),
              ReadFile(folder_ / (name + "/final/model.safetensors")));
  }
}

}  // namespace
}  // namespace stocha
