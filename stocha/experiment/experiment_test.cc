#include "stocha/experiment/experiment.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

constexpr char kTwoByTwo[] = R"(seeds = [1, 2, 3]
learning_rates = [1e-3, 2e-3]

[text]
tokenizer = "tokenizer.json"
train = ["books.jsonl.zst"]
validation = ["others.txt"]

[base.model]
hidden_size = 64
intermediate_size = 160
num_hidden_layers = 2
num_attention_heads = 4

[base.training]
steps = 100
l1 = 0.5

[[setting]]
name = "small"

[[setting]]
name = "large"
recipe.model.hidden_size = 128
recipe.training.steps = 200

[[arm]]
name = "silu"
recipe.activation = [{ activation = "silu" }]

[[arm]]
name = "relu"
seeds = [7]
learning_rates = []
settings = ["large"]
recipe.activation = [{ activation = "relu" }]
recipe.training.l1 = 0.25
)";

Experiment Parse(const std::string& toml, const std::vector<std::string>& overrides = {},
                 const ExperimentText& text = {}) {
  return ParseExperiment(
      toml, "two.toml",
      {.base = "/base", .shards = "/output/text", .overrides = overrides, .text = text});
}

std::string ErrorOf(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  try {
    Parse(toml, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// kTwoByTwo with its first `from` replaced.
std::string TwoByTwo(const std::string& from, const std::string& to) {
  std::string text = kTwoByTwo;
  return text.replace(text.find(from), from.size(), to);
}

TEST(ExperimentTest, ArmsAreMergedIntoSettingsAndThoseIntoTheBase) {
  const Experiment experiment = Parse(kTwoByTwo);
  ASSERT_EQ(experiment.groups.size(), 3);
  const RunGroup& small = experiment.groups[0];
  EXPECT_EQ(small.name(), "small-silu");
  EXPECT_EQ(small.recipe.model.hidden_size, 64);
  EXPECT_EQ(small.recipe.model.intermediate_size, 160);
  EXPECT_EQ(small.recipe.steps, 100);
  EXPECT_EQ(small.recipe.l1, 0.5);
  EXPECT_EQ(experiment.groups[1].name(), "large-silu");
  const RunGroup& relu = experiment.groups[2];
  EXPECT_EQ(relu.name(), "large-relu");
  EXPECT_EQ(relu.recipe.model.hidden_size, 128);
  EXPECT_EQ(relu.recipe.model.intermediate_size, 160);
  EXPECT_EQ(relu.recipe.steps, 200);
  EXPECT_EQ(relu.recipe.l1, 0.25);
  EXPECT_EQ(relu.recipe.activation[0].activation.kind, ActivationKind::kRelu);
}

TEST(ExperimentTest, OneSeedTriesEveryRateAndTheOthersTheBest) {
  const RunGroup group = Parse(kTwoByTwo).groups[0];
  EXPECT_EQ(group.num_runs(), 4);
  ASSERT_EQ(group.FirstRuns().size(), 2);
  EXPECT_EQ(group.NameOf(group.FirstRuns()[1]), "small-silu-lr0.002-seed1");
  const std::vector<ExperimentRun> others = group.OtherRuns(2e-3);
  ASSERT_EQ(others.size(), 2);
  EXPECT_EQ(group.NameOf(others[1]), "small-silu-lr0.002-seed3");
  EXPECT_EQ(group.RecipeOf(others[1]).seed, 3);
  EXPECT_EQ(group.RecipeOf(others[1]).learning_rate, 2e-3);
}

TEST(ExperimentTest, WithoutRatesOrSeedsTheRecipesOwn) {
  const Experiment experiment = Parse(kTwoByTwo, {"base.optimizer.learning_rate=0.5"});
  const RunGroup& relu = experiment.groups[2];
  EXPECT_EQ(relu.learning_rates, std::vector<double>{0.5});
  EXPECT_EQ(relu.seeds, std::vector<uint64_t>{7});
  EXPECT_EQ(experiment.num_runs(), 4 + 4 + 1);
}

TEST(ExperimentTest, TextBecomesShardsInTheOutput) {
  const Experiment experiment = Parse(kTwoByTwo);
  EXPECT_EQ(experiment.text.train, std::vector<std::string>{"/base/books.jsonl.zst"});
  const Recipe& recipe = experiment.groups[0].recipe;
  EXPECT_EQ(recipe.train, std::vector<std::string>{"/output/text/train.tokens"});
  EXPECT_EQ(recipe.validation, std::vector<std::string>{"/output/text/validation.tokens"});
  EXPECT_EQ(recipe.tokenizer, "/base/tokenizer.json");
}

TEST(ExperimentTest, TextOnTheCommandLineReplacesTheFiles) {
  const Experiment experiment = Parse(kTwoByTwo, {}, {.train = {"/other.txt"}});
  EXPECT_EQ(experiment.text.train, std::vector<std::string>{"/other.txt"});
  EXPECT_EQ(experiment.text.tokenizer, "/base/tokenizer.json");
}

TEST(ExperimentTest, AShareOfTheTextMayBeHeldBack) {
  const Experiment experiment =
      Parse(TwoByTwo("validation = [\"others.txt\"]", "validation_fraction = 0.25"));
  EXPECT_EQ(experiment.text.validation_fraction, 0.25);
  EXPECT_EQ(experiment.groups[0].recipe.validation,
            std::vector<std::string>{"/output/text/validation.tokens"});
}

TEST(ExperimentTest, BadRecipesAreRefusedWithTheirLine) {
  EXPECT_EQ(ErrorOf(TwoByTwo("hidden_size = 64", "hiden_size = 64")),
            "two.toml:10:1: unknown key \"model.hiden_size\"; did you mean model.hidden_size?");
  EXPECT_EQ(ErrorOf(TwoByTwo("recipe.training.steps = 200", "recipe.training.steps = -1")),
            "two.toml:25:25: training.steps: got -1, expected an integer, 1 to 2147483647");
  EXPECT_EQ(ErrorOf(TwoByTwo("seeds = [7]", "sedes = [7]")),
            "two.toml:33:1: unknown key \"arm[1].sedes\"; did you mean arm[1].seeds?");
  EXPECT_EQ(ErrorOf(TwoByTwo("\"small\"", "\"a/b\"")),
            "two.toml:19:1: setting[0].name: got \"a/b\", expected 1 to 60 letters, digits and "
            "._+-");
  EXPECT_EQ(ErrorOf(TwoByTwo("[\"large\"]", "[\"huge\"]")),
            "two.toml:31:1: arm[1].settings: got \"huge\", expected names of [[setting]]");
  EXPECT_EQ(ErrorOf(TwoByTwo("name = \"relu\"", "name = \"silu\"")),
            "two.toml: one name of [[arm]] twice: got silu");
  EXPECT_EQ(ErrorOf(TwoByTwo("[1, 2, 3]", "[1, 2, 1]")), "two.toml:27:1: a seed twice: got 1");
  EXPECT_EQ(ErrorOf(TwoByTwo("[1, 2, 3]", "[1.5]")),
            "two.toml:27:1: seeds: got 1.5, expected whole numbers");
  EXPECT_EQ(ErrorOf(TwoByTwo("validation = [\"others.txt\"]", "")),
            "two.toml:27:1: learning_rates, but no validation data to choose by");
  EXPECT_EQ(ErrorOf("seeds = [1]"), "two.toml: no [[arm]], expected at least one");
}

TEST(ExperimentTest, EveryExperimentOfTheRepositoryIsRead) {
  const std::filesystem::path folder = std::filesystem::path(STOCHA_SOURCE_DIR) / "recipes";
  int experiments = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string text = ReadFile(entry.path());
    if (text.find("[[arm]]") == std::string::npos) continue;
    const Experiment experiment = ParseExperiment(
        text, entry.path().string(),
        {.base = folder, .shards = "/text", .text = {.train = {"a.txt"}, .validation = {"b.txt"}}});
    EXPECT_GT(experiment.groups.size(), 1) << entry.path();
    ++experiments;
  }
  EXPECT_GT(experiments, 0);
}

}  // namespace
}  // namespace stocha
