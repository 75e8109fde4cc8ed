#include "stocha/train/teacher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/train/gradients.h"
#include "stocha/train/tiny_run.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

class TeacherTest : public TaughtRunTest {
 protected:
  // Continues the teacher as its own pupil, with ReLU.
  Recipe Pupil() const {
    Recipe recipe = TinyRecipe();
    recipe.model = ModelConfig{};
    recipe.init_from = recipe.teacher = teacher();
    recipe.activation = {{.until = 1, .activation = {}}};
    return recipe;
  }

  std::vector<std::vector<float>> Weights(const std::string& run) const {
    std::vector<std::vector<float>> all;
    const Checkpoint checkpoint = OpenCheckpoint(folder_ / run / "final");
    for (const TensorSpec& spec : ListTensors(checkpoint.config)) {
      all.push_back(ToFloat32(checkpoint.Get(spec), spec.name));
    }
    return all;
  }

  std::string ErrorOf(const Recipe& recipe) {
    std::filesystem::remove_all(folder_ / "perhaps");
    try {
      TrainIn("perhaps", recipe);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

bool IsOfFfn(const TensorSpec& spec) {
  return spec.role == TensorRole::kGate || spec.role == TensorRole::kUp ||
         spec.role == TensorRole::kDown;
}

// The error of `student`'s FFNs with `activation`, its gradients added.
double LayerwiseError(const Transformer& student, const Teacher& teacher,
                      const Activation& activation, double scale = 1) {
  const Batch batch = ReadBatch(3, 8, [](int64_t i, std::span<int32_t> window) {
    for (size_t j = 0; j < window.size(); ++j) {
      window[j] = static_cast<int32_t>((5 * i + 3 * static_cast<int64_t>(j)) % kTinyVocabulary);
    }
  });
  ForwardOptions options;
  options.activation = activation;
  options.weights = student.CastWeights(ComputeType::kF32);
  return AccumulateLayerwise(student, teacher, batch.ids, options, scale);
}

TEST_F(TeacherTest, LayerByLayerThereIsNothingToLearnFromOneself) {
  const Checkpoint checkpoint = OpenCheckpoint(teacher());
  const Teacher of_it(checkpoint, ComputeType::kF32);
  const Transformer same(checkpoint.config, LoadWeights(checkpoint));
  EXPECT_EQ(LayerwiseError(same, of_it, {.kind = ActivationKind::kSilu}), 0);
  EXPECT_GT(LayerwiseError(same, of_it, {.kind = ActivationKind::kRelu}), 0);
}

// Along a direction in each weight of an FFN, the error changes as the gradient says; nothing else
// has one.
TEST_F(TeacherTest, LayerwiseGradientsAreThoseOfTheError) {
  const Checkpoint checkpoint = OpenCheckpoint(teacher());
  const Teacher of_it(checkpoint, ComputeType::kF32);
  const Activation activation = {.kind = ActivationKind::kSilu};  // smooth, so differences serve
  const auto weights_at = [&](size_t moved, float distance) {
    std::vector<at::Tensor> weights = LoadWeights(checkpoint);
    for (size_t i = 0; i < weights.size(); ++i) {
      float* values = weights[i].mutable_data_ptr<float>();
      for (int64_t j = 0; j < weights[i].numel(); ++j) {
        const auto wave = static_cast<float>(std::sin(static_cast<double>(j + 1)));
        values[j] += 0.05f * wave;  // away from the teacher
        if (i == moved) values[j] += distance * wave;
      }
    }
    return weights;
  };
  const Transformer student(checkpoint.config, weights_at(0, 0));
  constexpr double kScale = 0.5;
  LayerwiseError(student, of_it, activation, kScale);
  for (size_t i = 0; i < student.specs().size(); ++i) {
    const TensorSpec& spec = student.specs()[i];
    const at::Tensor grad = student.weights()[i].grad();
    ASSERT_EQ(grad.defined(), IsOfFfn(spec)) << spec.name;
    if (!grad.defined()) continue;
    double along = 0;
    for (int64_t j = 0; j < grad.numel(); ++j) {
      along += grad.contiguous().const_data_ptr<float>()[j] * std::sin(static_cast<double>(j + 1));
    }
    constexpr float kDistance = 3e-3f;
    const auto error_at = [&](float distance) {
      return LayerwiseError(Transformer(checkpoint.config, weights_at(i, distance)), of_it,
                            activation);
    };
    const double slope = (error_at(kDistance) - error_at(-kDistance)) / (2 * kDistance);
    EXPECT_NEAR(along, kScale * slope, 0.01 * std::abs(kScale * slope) + 1e-6) << spec.name;
  }
}

TEST_F(TeacherTest, LayerwiseStepsTrainTheFfnsAlone) {
  Recipe recipe = Pupil();
  recipe.steps = 40;
  recipe.layerwise_until = 1;
  EXPECT_TRUE(TrainIn("run", recipe).finished);
  EXPECT_TRUE(std::isnan(observer_.steps.front().loss));
  EXPECT_LT(observer_.steps.back().distillation, 0.5 * observer_.steps.front().distillation);
  const std::vector<std::vector<float>> before = Weights("teacher");
  const std::vector<std::vector<float>> after = Weights("run");
  const std::vector<TensorSpec> specs = ListTensors(OpenCheckpoint(teacher()).config);
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(before[i] != after[i], IsOfFfn(specs[i])) << specs[i].name;
  }
}

TEST_F(TeacherTest, KlAloneBringsTheDistributionsTogether) {
  Recipe recipe = Pupil();
  recipe.steps = 40;
  recipe.kl_weight = 1;
  EXPECT_TRUE(TrainIn("run", recipe).finished);
  EXPECT_GT(observer_.steps.front().distillation, 0);
  EXPECT_LT(observer_.steps.back().distillation, 0.5 * observer_.steps.front().distillation);
  EXPECT_FALSE(std::isnan(observer_.steps.front().loss));
}

// Both phases, StochA on; a kill in either.
TEST_F(TeacherTest, AResumedRunEndsWithTheSameBits) {
  Recipe recipe = Pupil();
  recipe.steps = 8;
  recipe.checkpoint_every = 1;
  recipe.layerwise_until = 0.5;
  recipe.kl_weight = 0.5;
  recipe.activation = {
      {.until = 0.75, .activation = ParseActivation("stocha:1,blend", "test"), .anneal_to = 0},
      {.until = 1, .activation = {}}};
  TrainIn("whole", recipe);
  TrainIn("parts", recipe, /*resume=*/false, 2);
  TrainIn("parts", recipe, /*resume=*/true, 4);
  TrainIn("parts", recipe, /*resume=*/true);
  EXPECT_EQ(Weights("parts"), Weights("whole"));
  const RunMetrics whole = ReadRunMetrics(folder_ / "whole");
  const RunMetrics parts = ReadRunMetrics(folder_ / "parts");
  ASSERT_EQ(parts.steps.size(), whole.steps.size());
  for (size_t i = 0; i < whole.steps.size(); ++i) {
    EXPECT_EQ(parts.steps[i].distillation, whole.steps[i].distillation);
    EXPECT_EQ(parts.steps[i].layerwise(), i < 4);
    EXPECT_EQ(ShownLoss(parts.steps[i]), ShownLoss(whole.steps[i]));
  }
}

TEST_F(TeacherTest, MicroBatchesAddUp) {
  Recipe recipe = Pupil();
  recipe.layerwise_until = 0.5;
  recipe.kl_weight = 0.5;
  recipe.steps = 2;
  TrainIn("whole", recipe);
  recipe.micro_batch_size = 1;
  TrainIn("micro", recipe);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(observer_.steps[i].distillation, observer_.steps[2 + i].distillation, 1e-6);
    EXPECT_NEAR(observer_.steps[i].gradient_norm, observer_.steps[2 + i].gradient_norm, 1e-5);
  }
}

TEST_F(TeacherTest, WhatCannotTeachIsRefused) {
  Recipe recipe = Pupil();
  recipe.kl_weight = 0.5;
  recipe.teacher = (folder_ / "nowhere").string();
  EXPECT_NE(ErrorOf(recipe).find("nowhere"), std::string::npos);

  Recipe other = TinyRecipe();
  other.model.vocab_size = kTinyVocabulary + 1;
  other.model.num_hidden_layers = 1;
  TrainIn("other", other);
  recipe.teacher = (folder_ / "other/final").string();
  EXPECT_NE(ErrorOf(recipe).find("another vocabulary: got 20, expected the model's vocab_size 19"),
            std::string::npos);

  other.model.vocab_size = kTinyVocabulary;
  TrainIn("shallow", other);
  recipe.teacher = (folder_ / "shallow/final").string();
  EXPECT_EQ(ErrorOf(recipe), "");  // for its distributions it serves
  Recipe fitted = recipe;
  fitted.fit_tokens = 100;
  recipe.layerwise_until = 0.5;
  for (const Recipe& by_layers : {recipe, fitted}) {
    EXPECT_NE(ErrorOf(by_layers).find("must have the model's layers: got num_hidden_layers 1"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace stocha
