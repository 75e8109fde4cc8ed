#include "stocha/experiment/results.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

const RunGroup kGroup{
    .arm = "relu", .setting = "small", .seeds = {1, 2, 3}, .learning_rates = {0.25, 0.5}};

RunResult Finished(uint64_t seed, double rate, double loss) {
  return {.run = kGroup.NameOf({.seed = seed, .learning_rate = rate}),
          .setting = "small",
          .arm = "relu",
          .seed = seed,
          .learning_rate = rate,
          .status = RunStatus::kFinished,
          .val_loss = loss,
          .sparsity = 0.5};
}

TEST(ResultsTest, NoRateIsChosenBeforeAllAreTried) {
  const GroupResult sum = SumUp(kGroup, {Finished(1, 0.25, 4)});
  EXPECT_TRUE(std::isnan(sum.learning_rate));
  EXPECT_TRUE(sum.losses.empty());
  EXPECT_EQ(sum.scan_losses[0], 4);
}

TEST(ResultsTest, TheBestRatesSeedsAreSummedUp) {
  const GroupResult sum = SumUp(kGroup, {Finished(1, 0.25, 4), Finished(1, 0.5, 3),
                                         Finished(2, 0.5, 5), Finished(3, 0.5, 4)});
  EXPECT_EQ(sum.learning_rate, 0.5);
  EXPECT_EQ(sum.losses, (std::vector<double>{3, 5, 4}));
  EXPECT_EQ(sum.mean_loss, 4);
  EXPECT_EQ(sum.spread, 1);  // of 3, 5, 4 with n - 1
  EXPECT_EQ(sum.sparsity, 0.5);
}

TEST(ResultsTest, ARateThatFailedIsNotChosen) {
  RunResult failed = Finished(1, 0.25, 1);
  failed.status = RunStatus::kFailed;
  EXPECT_EQ(SumUp(kGroup, {failed, Finished(1, 0.5, 3)}).learning_rate, 0.5);
}

TEST(ResultsTest, ASingleRateNeedsNoScan) {
  RunGroup group = kGroup;
  group.learning_rates = {0.25};
  RunResult failed = Finished(1, 0.25, 1);
  failed.status = RunStatus::kFailed;
  const GroupResult sum = SumUp(group, {failed, Finished(2, 0.25, 3)});
  EXPECT_EQ(sum.learning_rate, 0.25);
  EXPECT_EQ(sum.losses, (std::vector<double>{3}));
}

TEST(ResultsTest, RunsAreReadBackAsTheyWere) {
  ExperimentResults results;
  results.facts["commit"] = "abc";
  results.runs = {Finished(1, 0.25, 4)};
  results.runs[0].machine = "a processor";
  results.runs[0].sparsity_by_layer = {0.25, 0.75};
  results.runs[0].validations = {
      {.tokens = 8, .loss = 5, .activation = "silu", .as_trained = true, .sparsity = 0.25},
      {.tokens = 16}};
  results.runs.push_back({.run = "b", .status = RunStatus::kFailed, .error = "it broke"});
  const std::string json = ToJson(results, {SumUp(kGroup, results.runs)});
  ExperimentResults read = ParseResults(json, "results.json");
  EXPECT_EQ(ToJson(read, {SumUp(kGroup, read.runs)}), json);
  EXPECT_EQ(read.Find("b")->error, "it broke");
  EXPECT_TRUE(std::isnan(read.Find("b")->val_loss));
  EXPECT_EQ(read.Find("c"), nullptr);
}

TEST(ResultsTest, AnUnknownStatusIsRefused) {
  ExperimentResults results;
  results.runs = {Finished(1, 0.25, 4)};
  std::string json = ToJson(results, {});
  json.replace(json.find("finished"), 8, "vanished");
  EXPECT_THROW(ParseResults(json, "results.json"), Error);
}

Recipe RecipeWithSwitch() {
  return ParseRecipe(R"([model]
vocab_size = 10
hidden_size = 8
intermediate_size = 16
num_hidden_layers = 1
num_attention_heads = 2
tie_word_embeddings = true
[data]
train = "a.tokens"
sequence_length = 4
[training]
steps = 4
batch_size = 1
[[activation]]
until = 0.5
activation = "silu"
[[activation]]
activation = "relu"
)",
                     "switch.toml", "/");
}

TEST(ResultsTest, MetricsGiveLossesBeforeAtAndAfterTheSwitch) {
  RunMetrics metrics;
  for (int step = 0; step < 4; ++step) {
    metrics.steps.push_back({.step = step,
                             .loss = 2,
                             .activation = step < 2 ? "silu" : "relu",
                             .tokens = 4 * (step + 1),
                             .tokens_per_s = 2});
  }
  metrics.validations = {{.step = 2, .loss = 3, .activation = "silu"},
                         {.step = 2, .loss = 5, .activation = "relu"},
                         {.step = 4, .loss = 4, .activation = "relu", .sparsity = {0.5}}};
  RunResult result;
  const Recipe recipe = RecipeWithSwitch();
  AddMetrics(recipe, recipe.model, metrics, &result);
  EXPECT_EQ(result.val_loss_before_switch, 3);
  EXPECT_EQ(result.val_loss_at_switch, 5);
  EXPECT_EQ(result.val_loss, 4);
  EXPECT_EQ(result.activation, "relu");
  EXPECT_EQ(result.sparsity, 0.5);
  EXPECT_EQ(result.tokens, 16);
  EXPECT_EQ(result.seconds, 8);
  // Attention 4 * 8 * 8, feed-forward 3 * 8 * 16, three norms of 8; the embedding 10 * 8.
  EXPECT_EQ(result.body_params, 256 + 384 + 24);
  EXPECT_EQ(result.params, result.body_params + 80);
  ASSERT_EQ(result.validations.size(), 3U);
  EXPECT_EQ(result.validations[0].tokens, 8);
  EXPECT_EQ(result.validations[1].loss, 5);
  EXPECT_EQ(result.validations[2].sparsity, 0.5);
  for (const ValidationPoint& validation : result.validations) {
    EXPECT_TRUE(validation.as_trained) << validation.activation;
  }
}

TEST(ResultsTest, AValidationWithWhatIsNotTrainedIsMarked) {
  RunMetrics metrics;
  metrics.steps = {{.step = 0, .loss = 2, .activation = "silu", .tokens = 4, .tokens_per_s = 2}};
  metrics.validations = {{.step = 1, .loss = 3, .activation = "silu"},
                         {.step = 1, .loss = 5, .activation = "relu"}};
  RunResult result;
  const Recipe recipe = RecipeWithSwitch();
  AddMetrics(recipe, recipe.model, metrics, &result);
  EXPECT_TRUE(result.validations[0].as_trained);
  EXPECT_FALSE(result.validations[1].as_trained);
}

}  // namespace
}  // namespace stocha
