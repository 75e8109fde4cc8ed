#include "stocha/train/continue_recipe.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "stocha/base/error.h"
#include "stocha/train/tiny_run.h"

namespace stocha {
namespace {

class ContinueRecipeTest : public TinyRunTest {};

TEST_F(ContinueRecipeTest, TheSameRecipeContinues) {
  Recipe recipe = TinyRecipe();
  EXPECT_EQ(ContinueRecipe(TinyRecipe(), "run", &recipe), "");
}

TEST_F(ContinueRecipeTest, NamesTheKeyThatDiffers) {
  const struct {
    const char* message;
    std::function<void(Recipe&)> change;
  } cases[] = {
      {"seed: 5 -> 6", [](Recipe& r) { r.seed = 6; }},
      {"training.steps: 6 -> 7", [](Recipe& r) { r.steps = 7; }},
      {"training.micro_batch_size: 0 -> 2", [](Recipe& r) { r.micro_batch_size = 2; }},
      {"optimizer.learning_rate: 0.01 -> 0.02", [](Recipe& r) { r.learning_rate = 0.02; }},
      {"model.hidden_size: 16 -> 32", [](Recipe& r) { r.model.hidden_size = 32; }},
      {"model.rope_scaling.factor: 1 -> 2", [](Recipe& r) { r.model.rope_scaling.factor = 2; }},
      {"activation", [](Recipe& r) { r.activation[1].activation = StochasticActivation(0.5); }},
      {"activation", [](Recipe& r) { r.activation.erase(r.activation.begin()); }},
      {"data.train", [](Recipe& r) { r.train[0] += "2"; }},
  };
  for (const auto& [message, change] : cases) {
    Recipe recipe = TinyRecipe();
    change(recipe);
    try {
      ContinueRecipe(TinyRecipe(), "the-run", &recipe);
      ADD_FAILURE() << "accepted: " << message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("the-run"), std::string::npos) << error.what();
    }
  }
}

TEST_F(ContinueRecipeTest, WhatCannotChangeTheWeightsMayDiffer) {
  Recipe recipe = TinyRecipe();
  recipe.checkpoint_every = 50;
  EXPECT_EQ(ContinueRecipe(TinyRecipe(), "run", &recipe), "training.checkpoint_every: 0 -> 50");
  EXPECT_EQ(recipe.checkpoint_every, 50);
}

TEST_F(ContinueRecipeTest, FillsInWhatComesFromElsewhere) {
  Recipe saved = TinyRecipe();
  saved.init_from = "/models/first";
  saved.tokenizer = "/models/first/tokenizer.json";
  Recipe recipe = saved;
  recipe.model = {};
  recipe.tokenizer = "";
  EXPECT_EQ(ContinueRecipe(saved, "run", &recipe), "");
  EXPECT_EQ(recipe, saved);
}

}  // namespace
}  // namespace stocha
