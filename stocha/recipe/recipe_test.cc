#include "stocha/recipe/recipe.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr char kSmall[] = R"(seed = 7

[model]
tokenizer = "tokenizer.json"
vocab_size = 300
hidden_size = 64
intermediate_size = 160
num_hidden_layers = 2
num_attention_heads = 4

[data]
train = ["shards", "/abs/more.tokens"]
sequence_length = 32

[training]
steps = 100
batch_size = 8
micro_batch_size = 4

[[activation]]
until = 0.9
activation = "stocha:0.7"

[[activation]]
activation = "relu"
)";

Recipe Parse(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  return ParseRecipe(toml, "small.toml", "/base", overrides);
}

std::string ErrorOf(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  try {
    Parse(toml, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// kSmall with its first `from` replaced.
std::string Small(const std::string& from, const std::string& to) {
  std::string text = kSmall;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Recipe, ReadsKeysAndKeepsDefaults) {
  const Recipe recipe = Parse(kSmall);
  EXPECT_EQ(recipe.seed, 7u);
  EXPECT_EQ(recipe.model.hidden_size, 64);
  EXPECT_EQ(recipe.model.num_key_value_heads, 4);  // as many as attention heads
  EXPECT_EQ(recipe.model.head_dim, 16);            // hidden_size / heads
  EXPECT_EQ(recipe.tokenizer, "/base/tokenizer.json");
  EXPECT_EQ(recipe.train, (std::vector<std::string>{"/base/shards", "/abs/more.tokens"}));
  EXPECT_EQ(recipe.micro_batch_size, 4);
  EXPECT_EQ(recipe.learning_rate, Recipe{}.learning_rate);
  ASSERT_EQ(recipe.activation.size(), 2u);
  EXPECT_EQ(recipe.activation[0].until, 0.9);
  EXPECT_EQ(ToString(recipe.activation[0].activation), "stocha:0.7");
  EXPECT_EQ(recipe.activation[1].until, 1);
}

TEST(Recipe, ReadsEveryKindOfValue) {
  const Recipe recipe =
      Parse(std::string(kSmall) + "anneal_to = -1\n",
            {"model.architecture=qwen3", "model.tie_word_embeddings=true",
             "model.rope_scaling={rope_type=\"linear\", factor=2}", "optimizer.schedule=wsd",
             "optimizer.weight_decay=0", "training.compute_type=f32", "training.export_type=bf16"});
  EXPECT_EQ(recipe.model.architecture, Architecture::kQwen3);
  EXPECT_TRUE(recipe.model.tie_word_embeddings);
  EXPECT_EQ(recipe.model.rope_scaling.type, RopeScaling::Type::kLinear);
  EXPECT_EQ(recipe.model.rope_scaling.factor, 2);
  EXPECT_EQ(recipe.schedule, LearningRateSchedule::kWsd);
  EXPECT_EQ(recipe.weight_decay, 0);
  EXPECT_EQ(recipe.compute_type, ComputeType::kF32);
  EXPECT_EQ(recipe.export_type, DType::kBF16);
}

TEST(Recipe, OverridesReplaceAddAndTakeBareWords) {
  const Recipe recipe = Parse(
      kSmall,
      {"training.steps=5", "optimizer.learning_rate=3e-4", "data.train=my/a.tokens",
       "data.validation=[\"v.tokens\"]", "seed=9",
       R"(activation=[{until=0.5, activation="silu"}, {activation="stocha:1", anneal_to=0}])"});
  EXPECT_EQ(recipe.steps, 5);
  EXPECT_EQ(recipe.learning_rate, 3e-4);
  EXPECT_EQ(recipe.seed, 9u);
  // A user at a shell means the current folder.
  EXPECT_EQ(recipe.train, std::vector<std::string>{(fs::current_path() / "my/a.tokens").string()});
  EXPECT_EQ(recipe.validation,
            std::vector<std::string>{(fs::current_path() / "v.tokens").string()});
  ASSERT_EQ(recipe.activation.size(), 2u);
  EXPECT_EQ(recipe.activation[1].anneal_to, 0);
}

TEST(Recipe, InitFromNeedsNoShape) {
  const Recipe recipe =
      Parse("[model]\ninit_from = 'm'\n[data]\ntrain = 'a'\n[[activation]]\nactivation = 'relu'\n");
  EXPECT_EQ(recipe.init_from, "/base/m");
  EXPECT_EQ(recipe.model, ModelConfig{});
}

TEST(Recipe, ReadsAFileAndItsFoldersPaths) {
  const fs::path file =
      fs::path(::testing::TempDir()) / ("recipe-" + std::to_string(getpid()) + ".toml");
  WriteFile(file, kSmall);
  const Recipe recipe = ReadRecipe(file);
  EXPECT_EQ(recipe.tokenizer, (file.parent_path() / "tokenizer.json").lexically_normal().string());
  fs::remove(file);
  EXPECT_THROW(ReadRecipe(file), Error);
}

TEST(Recipe, SaysWhereAndWhat) {
  EXPECT_EQ(ErrorOf(Small("steps =", "stepps =")),
            "small.toml:16:1: unknown key \"training.stepps\"; did you mean training.steps?");
  EXPECT_EQ(ErrorOf(Small("seed =", "learning_rate =")),
            "small.toml:1:1: unknown key \"learning_rate\"; did you mean "
            "optimizer.learning_rate?");
  EXPECT_EQ(ErrorOf(Small("seed =", "completely_other =")),
            "small.toml:1:1: unknown key \"completely_other\"; docs/recipe-keys.md lists the keys");
  EXPECT_EQ(ErrorOf(Small("seed =", "\"training.steps\" = 3 #")),
            "small.toml:1:1: unknown key \"training.steps\"; did you mean training.steps?");
  EXPECT_EQ(ErrorOf(kSmall, {"traning.steps=5"}),
            "--set traning.steps: unknown key \"traning.steps\"; did you mean training.steps?");
  EXPECT_EQ(ErrorOf(std::string(kSmall) + "aneal_to = 1\n"),
            "small.toml:26:1: unknown key \"activation[1].aneal_to\"; did you mean "
            "activation[1].anneal_to?");
  EXPECT_EQ(ErrorOf(Small("steps = 100", "steps = \"many\"")),
            "small.toml:16:9: training.steps: got \"many\", expected an integer, 1 to 2147483647");
  EXPECT_EQ(
      ErrorOf(kSmall, {"optimizer.beta1=1"}),
      "--set optimizer.beta1: optimizer.beta1: got 1, expected a number, at least 0, below 1");
  EXPECT_EQ(ErrorOf(Small("[training]", "[training")).substr(0, 16), "small.toml:15:10");
}

struct Bad {
  std::vector<std::string> overrides;
  std::string message;  // a part of it
};

TEST(Recipe, RefusesWhatDoesNotFit) {
  const Bad kBad[] = {
      {{"training.steps=0"}, "got 0, expected an integer, 1 to"},
      {{"training.steps=1.5"}, "got 1.5, expected an integer"},
      {{"training.steps=9223372036854775807"}, "expected an integer"},
      {{"training.steps=99999999999999999999"}, "expected an integer"},
      {{"optimizer.learning_rate=nan"}, "expected a number, above 0"},
      {{"optimizer.learning_rate=inf"}, "expected a number, above 0"},
      {{"optimizer.learning_rate=true"}, "expected a number, above 0"},
      {{"optimizer.schedule=linear"}, "got \"linear\", expected \"cosine\" or \"wsd\""},
      {{"model.tie_word_embeddings=1"}, "expected true or false"},
      {{"model.num_attention_heads=5"}, "does not divide hidden_size"},
      {{"model.hidden_size=0"}, "model.hidden_size is missing"},
      {{"model.vocab_size=0", "model.tokenizer="}, "neither model.vocab_size nor model.tokenizer"},
      {{"model.num_key_value_heads=3"}, "num_key_value_heads"},
      {{"model=3"}, "model: got 3, expected a table [model]"},
      {{"model.hidden_size.x=3"}, "\"hidden_size\" is no table"},
      {{"data.train=[]"}, "data.train is missing"},
      {{"data.train=\"\""}, "expected the path"},
      {{"data.train=[3]"}, "expected a text"},
      {{"data.train=2024-01-01"}, "got a date or time"},
      {{"data.train=\"a\\u0000b\""}, "expected a text"},
      {{"data.sequence_length=4096"}, "exceeds model.max_position_embeddings"},
      {{"training.micro_batch_size=3"}, "does not divide batch_size"},
      {{"training.batch_size=2147483647"}, "tokens a step"},
      {{"optimizer.warmup_steps=101"}, "leaves no room"},
      {{"optimizer.schedule=wsd", "optimizer.warmup_steps=81"}, "at most 80"},
      {{"activation=[]"}, "no [[activation]]"},
      {{"activation=relu"}, "expected tables [[activation]]"},
      {{"activation=[3]"}, "activation: got 3"},
      {{"activation=[{until=1}]"}, "activation[0].activation is missing"},
      {{"activation=[{activation=\"gelu\"}]"}, "not an activation: got \"gelu\""},
      {{"activation=[{activation=\"relu\", until=0.5}]"}, "got 0.5, expected 1 for the last phase"},
      {{"activation=[{activation=\"relu\"}, {activation=\"silu\"}]"}, "more than the phase before"},
      {{"activation=[{activation=\"relu\", anneal_to=0.5}]"}, "have a p to move"},
      {{"activation=[{activation=\"stocha:1\", anneal_to=-0.5}]"}, "expected 0 to 1, or -1"},
      {{"distill.kl_weight=0.5"}, "distill.teacher is missing"},
      {{"distill.layerwise_until=1"}, "distill.teacher is missing"},
      {{"distill.teacher=model"}, "distill.teacher teaches nothing"},
      {{"distill.fit_tokens=5"}, "distill.teacher is missing"},
      {{"distill.teacher=model", "distill.fit_tokens=5", "training.train_only=[\"up\"]"},
       "expected \"down\" in it"},
      {{"distill.teacher=model", "distill.layerwise_until=1", "training.train_only=[\"norms\"]"},
       "expected \"gate\", \"up\" or"},
      {{"distill.teacher=model", "distill.fit_tokens=5", "distill.fit_at=0.5"},
       "got 0.5, expected at most 0"},
      {{"distill.kl_weight=1.5"}, "expected a number, 0 to 1"},
      {{"training.train_only=gate"}, "expected a list of \"attention\", \"gate\""},
      {{"training.train_only=[\"gates\"]"}, "got \"gates\", expected \"attention\" or"},
      {{"training.train_only=[\"up\", \"up\"]"}, "expected each name once"},
      {{"nothing"}, "no key=value"},
      {{"=3"}, "no key=value"},
      {{"training.steps=5\nseed=3"}, "more than one value"},
      {{"training.steps=[5"}, "--set training.steps:1:"},
  };
  for (const Bad& bad : kBad) {
    const std::string message = ErrorOf(kSmall, bad.overrides);
    EXPECT_NE(message.find(bad.message), std::string::npos) << bad.overrides[0] << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(Recipe, DeepOrHugeTextIsAnErrorNotACrash) {
  std::string dotted;
  for (int i = 0; i < 200000; ++i) dotted += "a.";
  EXPECT_NE(ErrorOf(dotted + "a = 1").find("too many dots"), std::string::npos);
  EXPECT_NE(ErrorOf("[" + dotted + "a]").find("too many dots"), std::string::npos);
  EXPECT_NE(ErrorOf(kSmall, {dotted + "a=1"}).find("too many dots"), std::string::npos);
  EXPECT_NE(ErrorOf("x = " + std::string(100000, '[')).find("nested"), std::string::npos);
  EXPECT_NE(ErrorOf("x = " + std::string(100000, '9')).find("too long"), std::string::npos);
  EXPECT_NE(ErrorOf(Small("seed = 7", "seed = 18446744073709551615")).find("small.toml:1:"),
            std::string::npos);
  EXPECT_NE(ErrorOf("x = \"\xff\"").find("small.toml:1:"), std::string::npos);
  EXPECT_NE(ErrorOf("[*a]").find("small.toml:1:2"), std::string::npos);
  EXPECT_NE(ErrorOf("").find("model.hidden_size is missing"), std::string::npos);
}

}  // namespace
}  // namespace stocha
