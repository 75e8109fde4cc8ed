#include "stocha/train/fit_projections.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "stocha/base/file.h"
#include "stocha/train/gradients.h"
#include "stocha/train/tiny_run.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

class FitProjectionsTest : public TaughtRunTest {
 protected:
  FitProjectionsTest() : shards_(OpenShards(TinyRecipe().train)) {}

  Recipe Pupil() const {
    Recipe recipe = TinyRecipe();
    recipe.model = OpenCheckpoint(teacher()).config;
    recipe.fit_tokens = 600;
    recipe.activation = {{.until = 1, .activation = {}}};
    return recipe;
  }

  // The same as a run of its own, of which it learns layer by layer until half.
  Recipe PupilRun(double fit_at) const {
    Recipe recipe = Pupil();
    recipe.model = ModelConfig{};
    recipe.init_from = recipe.teacher = teacher();
    recipe.layerwise_until = 0.5;
    recipe.fit_at = fit_at;
    return recipe;
  }

  // A trained model that teaches, and the same again to be fitted.
  struct Pair {
    Pair(const std::string& model, ComputeType type)
        : checkpoint(OpenCheckpoint(model)),
          teacher(checkpoint, type),
          student(checkpoint.config, LoadWeights(checkpoint)) {}
    Checkpoint checkpoint;
    Teacher teacher;
    Transformer student;
  };
  Pair OpenPair(ComputeType type = ComputeType::kF32) const { return {teacher(), type}; }
  BatchOrder Order(const Recipe& recipe) const {
    return {shards_, recipe.sequence_length, recipe.seed};
  }

  std::vector<TokenShard> shards_;
};

// The residual stream behind each layer's attention and behind its FFN, in turn, on the tokens of
// the fit.
std::vector<at::Tensor> Streams(const Transformer& model, const Activation& activation,
                                const BatchOrder& order, const Recipe& recipe) {
  const c10::NoGradGuard no_grad;
  const int64_t windows = (recipe.fit_tokens - 1) / recipe.sequence_length + 1;
  const Batch batch = ReadBatch(windows, recipe.sequence_length, [&](int64_t i, auto window) {
    order.ReadShuffled(static_cast<uint64_t>(recipe.steps * recipe.batch_size + i), window);
  });
  std::vector<at::Tensor> streams;
  ForwardOptions options;
  options.activation = activation;
  options.weights = model.CastWeights(ComputeType::kF32);
  options.feed_forward_observer = [&](int, const at::Tensor&, const at::Tensor& y,
                                      const at::Tensor& stream) {
    streams.push_back(stream);
    streams.push_back(stream + y);
  };
  model.Hidden(batch.ids, options);
  return streams;
}

// Of the stream that a projection writes to, in Streams; -1: another weight.
int StreamOf(const TensorSpec& spec) {
  if (spec.role == TensorRole::kAttentionOutput) return 2 * spec.layer;
  return spec.role == TensorRole::kDown ? 2 * spec.layer + 1 : -1;
}

// |ours - theirs|^2 / |theirs|^2 at each, the mean over tokens.
std::vector<double> Errors(const std::vector<at::Tensor>& ours,
                           const std::vector<at::Tensor>& theirs) {
  std::vector<double> errors;
  for (size_t i = 0; i < ours.size(); ++i) {
    const at::Tensor shares = (ours[i] - theirs[i]).square().sum(1) / theirs[i].square().sum(1);
    errors.push_back(shares.mean().item<float>());
  }
  return errors;
}

TEST_F(FitProjectionsTest, LowersTheErrorByWhatItSays) {
  const Recipe recipe = Pupil();
  const BatchOrder order = Order(recipe);
  const auto [checkpoint, of_it, student] = OpenPair();
  const std::vector<at::Tensor> theirs =
      Streams(of_it.model(), checkpoint.config.activation, order, recipe);
  const std::vector<at::Tensor> old = LoadWeights(checkpoint);
  const ProjectionFit fit = FitProjections(student, of_it, order, recipe).value();
  const std::vector<double> after = Errors(Streams(student, {}, order, recipe), theirs);

  double sum_before = 0;
  double sum_after = 0;
  const int layers = student.config().num_hidden_layers;
  for (int stream = 1; stream < 2 * layers; ++stream) {
    // What writes to the streams before it fitted, all else as it was.
    std::vector<at::Tensor> weights;
    for (size_t i = 0; i < old.size(); ++i) {
      const bool fitted = StreamOf(student.specs()[i]) < stream;
      weights.push_back(fitted ? student.weights()[i].detach().clone() : old[i].clone());
    }
    const Transformer partly(checkpoint.config, weights);
    const double before = Errors(Streams(partly, {}, order, recipe), theirs)[stream];
    EXPECT_LT(after[stream], (stream % 2 == 0 ? 0.99 : 0.7) * before) << stream;
    if (stream % 2 == 0) continue;  // told of FFNs alone
    sum_before += before / layers;
    sum_after += after[stream] / layers;
  }
  EXPECT_NEAR(fit.error_before, sum_before, 1e-3 * sum_before);
  EXPECT_NEAR(fit.error_after, sum_after, 1e-3 * sum_before);
  for (size_t i = 0; i < old.size(); ++i) {
    // Nothing is wrong before the first FFN.
    if (StreamOf(student.specs()[i]) == 0) continue;
    const bool same = old[i].equal(student.weights()[i]);
    EXPECT_EQ(same, StreamOf(student.specs()[i]) < 0) << student.specs()[i].name;
  }
}

// Where the weights in use are copies of the master weights, what is fitted must reach them: the
// layer behind starts from it.
TEST_F(FitProjectionsTest, FitsInBf16AsInF32) {
  Recipe recipe = Pupil();
  const BatchOrder order = Order(recipe);
  std::vector<ProjectionFit> fits;
  for (const ComputeType type : {ComputeType::kF32, ComputeType::kBF16}) {
    recipe.compute_type = type;
    const auto [checkpoint, of_it, student] = OpenPair(type);
    fits.push_back(FitProjections(student, of_it, order, recipe).value());
  }
  EXPECT_NEAR(fits[1].error_before, fits[0].error_before, 0.05 * fits[0].error_before);
}

TEST_F(FitProjectionsTest, LeavesAttentionThatIsNotTrained) {
  Recipe recipe = Pupil();
  recipe.train_only = {WeightGroup::kDown};
  const BatchOrder order = Order(recipe);
  const auto [checkpoint, of_it, student] = OpenPair();
  const ProjectionFit fit = FitProjections(student, of_it, order, recipe).value();
  EXPECT_LT(fit.error_after, 0.7 * fit.error_before);
  const std::vector<at::Tensor> old = LoadWeights(checkpoint);
  for (size_t i = 0; i < old.size(); ++i) {
    const bool same = old[i].equal(student.weights()[i]);
    EXPECT_EQ(same, student.specs()[i].role != TensorRole::kDown) << student.specs()[i].name;
  }
}

// Near the fit no direction leads down: whatever is added to a projection, the error behind it
// grows, but for what the ridge has kept back.
TEST_F(FitProjectionsTest, NoProjectionNearbyIsBetter) {
  const Recipe recipe = Pupil();
  const BatchOrder order = Order(recipe);
  const auto [checkpoint, of_it, student] = OpenPair();
  FitProjections(student, of_it, order, recipe);
  const std::vector<at::Tensor> theirs =
      Streams(of_it.model(), checkpoint.config.activation, order, recipe);
  const std::vector<double> fitted = Errors(Streams(student, {}, order, recipe), theirs);
  for (size_t i = 0; i < student.specs().size(); ++i) {
    const int stream = StreamOf(student.specs()[i]);
    if (stream < 0) continue;
    for (const float sign : {-1.0f, 1.0f}) {
      std::vector<at::Tensor> weights;
      for (const at::Tensor& weight : student.weights()) weights.push_back(weight.detach().clone());
      float* values = weights[i].mutable_data_ptr<float>();
      for (int64_t j = 0; j < weights[i].numel(); ++j) {
        values[j] += sign * 0.02f * std::sin(static_cast<float>(7 * j));
      }
      const Transformer moved(checkpoint.config, weights);
      EXPECT_GT(Errors(Streams(moved, {}, order, recipe), theirs)[stream], fitted[stream])
          << stream;
    }
  }
}

TEST_F(FitProjectionsTest, AModelWithItsOwnActivationStays) {
  Recipe recipe = Pupil();
  recipe.activation = {{.until = 1, .activation = {.kind = ActivationKind::kSilu}}};
  const BatchOrder order = Order(recipe);
  const auto [checkpoint, of_it, student] = OpenPair();
  EXPECT_NEAR(FitProjections(student, of_it, order, recipe).value().error_before, 0, 1e-6);
  const std::vector<at::Tensor> old = LoadWeights(checkpoint);
  for (size_t i = 0; i < old.size(); ++i) {
    EXPECT_LT((old[i] - student.weights()[i]).abs().max().item<float>(), 1e-4);
  }
}

// Tokens that come again would say nothing new.
TEST_F(FitProjectionsTest, TakesNoMoreThanTheTextHas) {
  Recipe recipe = Pupil();
  recipe.fit_tokens = 1'000'000;
  const BatchOrder order = Order(recipe);
  const auto [checkpoint, of_it, student] = OpenPair();
  const std::optional<ProjectionFit> fit = FitProjections(student, of_it, order, recipe);
  EXPECT_EQ(fit.value().tokens, static_cast<int64_t>(order.num_tokens()));
}

// At the start, and between two phases; a run that is cut just there ends with the same bits.
TEST_F(FitProjectionsTest, TrainingFitsOnce) {
  for (const double at : {0.0, 0.5}) {
    const std::string name = at == 0 ? "start" : "half";
    Recipe recipe = PupilRun(at);
    recipe.checkpoint_every = 1;
    observer_ = {};
    TrainIn(name, recipe);
    int notes = 0;
    for (const std::string& note : observer_.notes) {
      notes += note.find("projections fitted on 600 tokens") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(notes, 1);
    EXPECT_EQ(observer_.fitted_layers, (std::vector<int>{1, 2}));
    TrainIn(name + "-cut", recipe, /*resume=*/false, 3);
    TrainIn(name + "-cut", recipe, /*resume=*/true);
    EXPECT_EQ(ReadFile(folder_ / (name + "-cut/final/model.safetensors")),
              ReadFile(folder_ / (name + "/final/model.safetensors")));
  }
}

// A run that is stopped behind the first of two layers goes on from before the fit, at the start
// and in the middle, where nothing but the fit asks for a checkpoint.
TEST_F(FitProjectionsTest, StopsBehindALayer) {
  for (const double at : {0.0, 0.5}) {
    const std::string name = at == 0 ? "start" : "half";
    const Recipe recipe = PupilRun(at);
    TrainIn(name, recipe);

    observer_ = {};
    TrainOptions options = Options(name + "-cut");
    options.stop_requested = [this] { return !observer_.fitted_layers.empty(); };
    const TrainingResult cut = Train(recipe, options, &observer_);
    EXPECT_FALSE(cut.finished);
    EXPECT_EQ(cut.steps, static_cast<int64_t>(at * 6));
    EXPECT_EQ(observer_.fitted_layers.size(), 1u);
    TrainIn(name + "-cut", recipe, /*resume=*/true);
    EXPECT_EQ(ReadFile(folder_ / (name + "-cut/final/model.safetensors")),
              ReadFile(folder_ / (name + "/final/model.safetensors")));
  }
}

}  // namespace
}  // namespace stocha
