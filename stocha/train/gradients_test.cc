#include "stocha/train/gradients.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stocha/train/tiny_run.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

struct Gradients {
  StepGradients step;
  std::vector<std::vector<float>> values;  // one a weight
};

class GradientsTest : public TinyRunTest {
 protected:
  GradientsTest() : shards_(OpenShards(TinyRecipe().train)) { at::set_num_threads(1); }

  Gradients Compute(const Recipe& recipe) const {
    const Transformer model(recipe.model, RandomWeights(recipe.model, recipe.seed));
    const BatchOrder order(shards_, recipe.sequence_length, recipe.seed);
    Gradients result;
    SetTrained(recipe, model.specs(), model.weights());
    result.step = AccumulateGradients(model, /*teacher=*/nullptr, order, recipe, /*step=*/1,
                                      recipe.batch_size);
    for (const at::Tensor& weight : model.weights()) {
      if (!weight.grad().defined()) {
        result.values.emplace_back();
        continue;
      }
      const at::Tensor gradient = weight.grad().contiguous();
      result.values.emplace_back(gradient.const_data_ptr<float>(),
                                 gradient.const_data_ptr<float>() + gradient.numel());
    }
    return result;
  }

  static void ExpectNear(const Gradients& a, const Gradients& b) {
    EXPECT_NEAR(a.step.loss, b.step.loss, 1e-6);
    for (size_t i = 0; i < a.values.size(); ++i) {
      double difference = 0;
      double norm = 0;
      for (size_t j = 0; j < a.values[i].size(); ++j) {
        difference += std::pow(a.values[i][j] - b.values[i][j], 2);
        norm += std::pow(b.values[i][j], 2);
      }
      EXPECT_LE(std::sqrt(difference), 1e-5 * std::sqrt(norm)) << "weight " << i;
    }
  }

  std::vector<TokenShard> shards_;
};

TEST_F(GradientsTest, MicroBatchesAddUpToTheWholeBatch) {
  Recipe recipe = TinyRecipe();
  recipe.l1 = 0.5;
  const Gradients whole = Compute(recipe);
  for (const int64_t micro : {1, 2}) {
    recipe.micro_batch_size = micro;
    const Gradients parts = Compute(recipe);
    ExpectNear(parts, whole);
    // Coins are drawn by the row in the global batch: the same ones whatever the micro batch is.
    for (size_t layer = 0; layer < whole.step.stats.size(); ++layer) {
      EXPECT_EQ(parts.step.stats[layer].active, whole.step.stats[layer].active);
    }
  }
}

TEST_F(GradientsTest, CheckpointedBlocksGiveTheSameBits) {
  Recipe recipe = TinyRecipe();
  recipe.l1 = 0.5;
  recipe.micro_batch_size = 2;
  for (const ComputeType type : {ComputeType::kF32, ComputeType::kBF16}) {
    recipe.compute_type = type;
    recipe.checkpoint_blocks = false;
    const Gradients kept = Compute(recipe);
    recipe.checkpoint_blocks = true;
    const Gradients again = Compute(recipe);
    EXPECT_EQ(again.step.loss, kept.step.loss);
    EXPECT_EQ(again.values, kept.values);
    for (size_t layer = 0; layer < kept.step.stats.size(); ++layer) {
      EXPECT_EQ(again.step.stats[layer].active, kept.step.stats[layer].active);
    }
  }
}

// Checkpointed or not: what is trained gets the gradient that it has when all is, the rest gets
// none.
TEST_F(GradientsTest, WeightsThatAreNotTrainedHaveNoGradient) {
  Recipe recipe = TinyRecipe();
  const Gradients all = Compute(recipe);
  const std::vector<TensorSpec> specs = ListTensors(recipe.model);
  for (const bool checkpointed : {false, true}) {
    recipe.checkpoint_blocks = checkpointed;
    recipe.train_only = {WeightGroup::kGate, WeightGroup::kNorms};
    const Gradients some = Compute(recipe);
    for (size_t i = 0; i < specs.size(); ++i) {
      const bool trained =
          specs[i].role == TensorRole::kGate || specs[i].name.find("norm") != std::string::npos;
      EXPECT_EQ(some.values[i], trained ? all.values[i] : std::vector<float>()) << specs[i].name;
    }
  }
}

TEST_F(GradientsTest, CoinsChangeTheGradient) {
  Recipe recipe = TinyRecipe();
  const Gradients drawn = Compute(recipe);
  recipe.activation = {{.until = 1, .activation = StochasticActivation(0)}};
  const Gradients none = Compute(recipe);
  EXPECT_GT(drawn.step.stats[0].active, none.step.stats[0].active);
}

// The gradient of the penalty is l1 times that of the mean |hidden| of each layer, summed over
// layers: moving the weights along it must change what the statistics say by as much.
TEST_F(GradientsTest, L1IsTheGradientOfTheMeanHiddenActivation) {
  Recipe recipe = TinyRecipe();
  recipe.activation = {{.until = 1, .activation = {.kind = ActivationKind::kSilu}}};
  const Gradients plain = Compute(recipe);
  recipe.l1 = 3;
  const Gradients penalised = Compute(recipe);
  EXPECT_EQ(plain.step.loss, penalised.step.loss);  // reported without the penalty

  // Directional derivative along d, by central differences of the mean.
  const double tokens = static_cast<double>(recipe.batch_size * recipe.sequence_length);
  const auto mean_hidden = [&](double distance) {
    std::vector<at::Tensor> weights = RandomWeights(recipe.model, recipe.seed);
    for (at::Tensor& weight : weights) {
      float* values = weight.mutable_data_ptr<float>();
      for (int64_t i = 0; i < weight.numel(); ++i) {
        values[i] += static_cast<float>(distance * std::sin(static_cast<double>(i)));
      }
    }
    const Transformer model(recipe.model, weights);
    const BatchOrder order(shards_, recipe.sequence_length, recipe.seed);
    const StepGradients step = AccumulateGradients(model, /*teacher=*/nullptr, order, recipe,
                                                   /*step=*/1, recipe.batch_size);
    double sum = 0;
    for (const GatedActivationStats& layer : step.stats) sum += layer.hidden_l1;
    return sum / (tokens * static_cast<double>(recipe.model.intermediate_size));
  };
  constexpr double kDistance = 1e-4;
  const double expected = 3 * (mean_hidden(kDistance) - mean_hidden(-kDistance)) / (2 * kDistance);
  double got = 0;
  for (size_t i = 0; i < plain.values.size(); ++i) {
    for (size_t j = 0; j < plain.values[i].size(); ++j) {
      got += (penalised.values[i][j] - plain.values[i][j]) * std::sin(static_cast<double>(j));
    }
  }
  EXPECT_NEAR(got, expected, 0.005 * std::abs(expected));
}

TEST_F(GradientsTest, BFloat16IsNearF32) {
  Recipe recipe = TinyRecipe();
  const Gradients wide = Compute(recipe);
  recipe.compute_type = ComputeType::kBF16;
  const Gradients narrow = Compute(recipe);
  EXPECT_NEAR(narrow.step.loss, wide.step.loss, 0.02);
  EXPECT_NE(narrow.step.loss, wide.step.loss);
}

}  // namespace
}  // namespace stocha
