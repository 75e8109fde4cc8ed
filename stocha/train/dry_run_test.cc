// The arithmetic of a dry run, and what it says of a run that fits and of one that does not.
#include "stocha/train/dry_run.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "stocha/base/error.h"
#include "stocha/train/tiny_run.h"

namespace stocha {
namespace {

using Json = nlohmann::json;

class DryRunTest : public TinyRunTest {};

// Of TinyRecipe's model, counted by hand: q and output 16x16, k and v 8x16, three FFN matrices
// 24x16, two norms a layer; the embedding and an untied head 19x16, the last norm.
constexpr int64_t kMatrices = 2 * (2 * 256 + 2 * 128 + 3 * 384);
constexpr int64_t kEmbedding = 19 * 16;
constexpr int64_t kNorms = 2 * 2 * 16 + 16;

TEST_F(DryRunTest, CountsWithoutAProbe) {
  Recipe recipe = TinyRecipe();
  recipe.model.tie_word_embeddings = false;
  const DryRun run = DryRunOf(recipe, /*probe_steps=*/0);
  EXPECT_EQ(run.cost.parameters, kMatrices + 2 * kEmbedding + kNorms);
  EXPECT_EQ(run.cost.state_bytes(), 16 * run.cost.parameters);
  EXPECT_EQ(run.cost.flops_per_token, 6 * (kMatrices + kEmbedding) + 12 * 2 * 16 * 8);
  EXPECT_EQ(run.tokens_per_step, 4 * 8);
  EXPECT_FALSE(run.memory);
  EXPECT_FALSE(run.hours());
  EXPECT_TRUE(run.fits);
  EXPECT_EQ(run.needed_bytes(), run.process_bytes + run.cost.state_bytes());
  const Json json = Json::parse(ToJson(run));
  EXPECT_TRUE(json["tokens_per_s"].is_null() && json["hours"].is_null());
  EXPECT_NE(ToText(run).find("not probed"), std::string::npos);
}

TEST_F(DryRunTest, ATiedEmbeddingIsMultipliedOnceAndStoredOnce) {
  Recipe recipe = TinyRecipe();
  recipe.model.tie_word_embeddings = true;
  const DryRun run = DryRunOf(recipe, 0);
  EXPECT_EQ(run.cost.parameters, kMatrices + kEmbedding + kNorms);
  EXPECT_EQ(run.cost.flops_per_token, 6 * (kMatrices + kEmbedding) + 12 * 2 * 16 * 8);
}

TEST_F(DryRunTest, AProbeGivesSpeedAndMemory) {
  const DryRun run = DryRunOf(TinyRecipe(), /*probe_steps=*/2);
  ASSERT_TRUE(run.memory && run.tokens_per_s && run.hours());
  EXPECT_TRUE(run.fits);
  EXPECT_DOUBLE_EQ(*run.hours(), 6 * 32 / *run.tokens_per_s / 3600);
  const Json json = Json::parse(ToJson(run));
  EXPECT_EQ(json["activation_bytes"], run.memory->activations);
  EXPECT_EQ(json["peak_bytes"], run.memory->peak);
  EXPECT_EQ(json["steps"], 6);
  EXPECT_EQ(ToText(run).find("not probed"), std::string::npos);
  EXPECT_NE(ToText(run).find("hours, without validation and checkpoints"), std::string::npos);
}

TEST(DryRunTextTest, TheFitIsNotInTheHours) {
  const DryRun run = {.has_fit = true, .tokens_per_s = 1};
  EXPECT_NE(ToText(run).find("hours, without validation, the fit and checkpoints"),
            std::string::npos);
}

TEST_F(DryRunTest, WhatDoesNotFitIsNotProbed) {
  Recipe recipe = TinyRecipe();
  recipe.model.hidden_size = 1 << 16;
  recipe.model.intermediate_size = 1 << 20;
  recipe.model.num_hidden_layers = 1000;  // 4e14 weights
  recipe.model.head_dim = 1 << 14;
  for (const int64_t probe_steps : {0, 1}) {
    const DryRun run = DryRunOf(recipe, probe_steps);
    EXPECT_FALSE(run.fits);
    EXPECT_FALSE(run.memory || run.tokens_per_s || run.hours());
    EXPECT_NE(ToText(run).find("no probe: it does not fit"), std::string::npos);
    EXPECT_NE(ToText(run).find("more than "), std::string::npos);
    EXPECT_EQ(Json::parse(ToJson(run))["fits"], false);
  }
}

TEST_F(DryRunTest, DataMayStillBeMissingWhenTheVocabularyIsKnown) {
  Recipe recipe = TinyRecipe();
  recipe.train = {(folder_ / "later.tokens").string()};
  const DryRun run = DryRunOf(recipe, 0);
  EXPECT_EQ(run.note, recipe.train[0] + " is not there yet");
  EXPECT_GT(run.cost.parameters, 0);
  recipe.model.vocab_size = 0;
  EXPECT_THROW(DryRunOf(recipe, 0), Error);
}

}  // namespace
}  // namespace stocha
