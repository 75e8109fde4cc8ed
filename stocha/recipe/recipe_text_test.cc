#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "stocha/base/file.h"
#include "stocha/recipe/recipe.h"

namespace stocha {
namespace {

TEST(RecipeText, ReadsBackEqual) {
  Recipe recipe;
  recipe.seed = (uint64_t{1} << 63) - 1;
  recipe.model.architecture = Architecture::kQwen2;
  recipe.model.vocab_size = 1000;
  recipe.model.hidden_size = 96;
  recipe.model.intermediate_size = 200;
  recipe.model.num_hidden_layers = 3;
  recipe.model.num_attention_heads = 6;
  recipe.model.num_key_value_heads = 2;
  recipe.model.head_dim = 24;
  recipe.model.max_position_embeddings = 1024;
  recipe.model.rms_norm_eps = 1e-6;
  recipe.model.rope_theta = 1e22;
  recipe.model.rope_scaling = {.type = RopeScaling::Type::kLlama3, .factor = 8};
  recipe.model.tie_word_embeddings = true;
  recipe.tokenizer = "/a \"b\"\\c\n\t\x01'''d.json";
  recipe.init_from = "/init";
  recipe.train = {"/t/1", "/t/ü"};
  recipe.validation = {"/v"};
  recipe.learning_rate = 0.1 + 0.2;  // 17 digits
  recipe.schedule = LearningRateSchedule::kWsd;
  recipe.warmup_steps = 5;
  recipe.epsilon = 1e-8;
  recipe.micro_batch_size = 8;
  recipe.checkpoint_blocks = true;
  recipe.compute_type = ComputeType::kF32;
  recipe.checkpoint_minutes = 0.5;
  recipe.l1 = 1e-5;
  recipe.export_type = DType::kBF16;
  recipe.train_only = {WeightGroup::kDown, WeightGroup::kNorms};
  recipe.teacher = "/teacher";
  recipe.layerwise_until = 0.25;
  recipe.fit_tokens = 1000;
  recipe.fit_at = 0.25;
  recipe.kl_weight = 0.5;
  recipe.activation = {{.until = 1.0 / 3,
                        .activation = ParseActivation("stocha:0.7,smooth,layer", ""),
                        .anneal_to = 0},
                       {.until = 1, .activation = ParseActivation("relu2", "")}};
  EXPECT_EQ(ParseRecipe(RecipeToToml(recipe), "written", "/elsewhere"), recipe);
}

TEST(RecipeText, ReadsBackEqualWithoutAShape) {
  Recipe recipe;
  recipe.init_from = "/init";
  recipe.train = {"/t"};
  recipe.activation = {{}};
  EXPECT_EQ(ParseRecipe(RecipeToToml(recipe), "written", "/elsewhere"), recipe);
}

TEST(RecipeText, EveryRecipeOfTheRepositoryIsRead) {
  int recipes = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(STOCHA_SOURCE_DIR) / "recipes")) {
    if (entry.path().extension() != ".toml") continue;
    if (ReadFile(entry.path()).find("[[arm]]") != std::string::npos) continue;  // experiments
    const Recipe recipe = ReadRecipe(entry.path());
    EXPECT_EQ(ParseRecipe(RecipeToToml(recipe), "written", "/elsewhere"), recipe) << entry.path();
    ++recipes;
  }
  EXPECT_GT(recipes, 0);
}

// docs/recipe-keys.md is the output of RecipeKeysMarkdown(); STOCHA_UPDATE_DOCS=1 writes it anew.
TEST(RecipeText, PageOfKeysIsUpToDate) {
  const std::filesystem::path page =
      std::filesystem::path(STOCHA_SOURCE_DIR) / "docs" / "recipe-keys.md";
  if (std::getenv("STOCHA_UPDATE_DOCS") != nullptr) WriteFile(page, RecipeKeysMarkdown());
  EXPECT_EQ(ReadFile(page), RecipeKeysMarkdown());
}

}  // namespace
}  // namespace stocha
