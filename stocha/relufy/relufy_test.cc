#include "stocha/relufy/relufy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/recipe/schedule.h"

namespace stocha {
namespace {

ModelConfig Config() {
  ModelConfig config;
  config.max_position_embeddings = 2048;
  return config;
}

RelufyOptions Options() {
  return {.model = "/m", .train = "/run/train.tokens", .validation = "/run/validation.tokens"};
}

std::string ErrorOf(const RelufyOptions& options) {
  try {
    MakeRelufyRecipe(options, Config());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Relufy, TheDefaultsFitAndEndInReluWithATeacher) {
  const Recipe recipe = MakeRelufyRecipe(Options(), Config());
  EXPECT_EQ(recipe.init_from, "/m");
  EXPECT_EQ(recipe.teacher, "/m");
  EXPECT_EQ(recipe.train, std::vector<std::string>{"/run/train.tokens"});
  EXPECT_EQ(recipe.validation, std::vector<std::string>{"/run/validation.tokens"});
  // As --help says of --tokens.
  EXPECT_EQ(recipe.steps * recipe.batch_size * recipe.sequence_length, 4'096'000);
  EXPECT_EQ(FitStep(recipe), 0);
  EXPECT_GT(recipe.kl_weight, 0);
  EXPECT_EQ(ToString(ActivationAt(recipe, recipe.steps - 1)), "relu");
}

TEST(Relufy, TeachesWhatItIsTold) {
  RelufyOptions options = Options();
  options.teacher = RelufyTeacher::kNone;
  EXPECT_EQ(MakeRelufyRecipe(options, Config()).teacher, "");
  options.teacher = RelufyTeacher::kLayers;
  EXPECT_EQ(MakeRelufyRecipe(options, Config()).kl_weight, 0);
  EXPECT_GT(MakeRelufyRecipe(options, Config()).fit_tokens, 0);
  options.teacher = RelufyTeacher::kKl;
  EXPECT_EQ(MakeRelufyRecipe(options, Config()).fit_tokens, 0);
  EXPECT_GT(MakeRelufyRecipe(options, Config()).kl_weight, 0);
}

TEST(Relufy, TokensBecomeSteps) {
  RelufyOptions options = Options();
  const Recipe defaults = MakeRelufyRecipe(options, Config());
  const int64_t step = defaults.batch_size * defaults.sequence_length;
  options.tokens = 10 * step + 1;
  EXPECT_EQ(MakeRelufyRecipe(options, Config()).steps, 11);
  options.tokens = 1;
  EXPECT_EQ(MakeRelufyRecipe(options, Config()).steps, 1);
  ModelConfig narrow = Config();
  narrow.max_position_embeddings = 64;
  options.tokens = 640 * defaults.batch_size;
  const Recipe recipe = MakeRelufyRecipe(options, narrow);
  EXPECT_EQ(recipe.sequence_length, 64);
  EXPECT_EQ(recipe.steps, 10);
}

TEST(Relufy, ConversationsAreMixedIn) {
  RelufyOptions options = Options();
  options.conversations = "/run/conversations.tokens";
  EXPECT_EQ(MakeRelufyRecipe(options, Config()).train,
            (std::vector<std::string>{"/run/train.tokens", "/run/conversations.tokens"}));
}

TEST(Relufy, ARecipeAndOverridesReplaceTheDefaults) {
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / ("relufy-" + std::to_string(getpid()) + ".toml");
  WriteFile(file, "[training]\nsteps = 7\nl1 = 0.5\n[[activation]]\nactivation = \"relu\"\n");
  RelufyOptions options = Options();
  options.recipe = file;
  const std::vector<std::string> overrides = {"training.l1=0.25",
                                              "training.train_only=[\"gate\", \"down\"]"};
  options.overrides = overrides;
  const Recipe recipe = MakeRelufyRecipe(options, Config());
  EXPECT_EQ(recipe.steps, 7);
  EXPECT_EQ(recipe.l1, 0.25);
  EXPECT_EQ(recipe.activation.size(), 1u);
  EXPECT_EQ(recipe.train_only, (std::vector<WeightGroup>{WeightGroup::kGate, WeightGroup::kDown}));

  options.overrides = {};
  WriteFile(file, "[training]\nstepps = 7\n");
  EXPECT_NE(ErrorOf(options).find(file.string() + ":2:10: unknown key \"training.stepps\""),
            std::string::npos);
  WriteFile(file, "training = 7\n");
  EXPECT_NE(ErrorOf(options).find("training: got 7, expected a table"), std::string::npos);
  WriteFile(file, "model = 7\n");
  EXPECT_NE(ErrorOf(options).find("model"), std::string::npos);
  std::filesystem::remove(file);
}

TEST(Relufy, MustEndSparse) {
  RelufyOptions options = Options();
  const std::vector<std::string> overrides = {"activation=[{activation=\"stocha:0.5\"}]"};
  options.overrides = overrides;
  EXPECT_NE(ErrorOf(options).find("lets every neuron fire: got stocha:0.5, expected relu"),
            std::string::npos);
}

}  // namespace
}  // namespace stocha
