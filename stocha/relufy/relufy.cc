#include "stocha/relufy/relufy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/model/checkpoint.h"
#include "stocha/recipe/recipe_table.h"
#include "stocha/recipe/schedule.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultsName = "relufy's defaults";

toml::table& Table(toml::table* whole, std::string_view name) {
  toml::node* table = whole->get(name);
  if (table == nullptr) table = &whole->insert(name, toml::table()).first->second;
  if (table->is_table()) return *table->as_table();
  throw Error({.where = std::string(name), .what = "not a table", .expected = "[table] in TOML"});
}

std::string Absolute(const fs::path& path) {
  return fs::absolute(path).lexically_normal().string();
}

void SetData(const RelufyOptions& options, toml::table* whole) {
  toml::table& data = Table(whole, "data");
  if (!options.train.empty()) {
    toml::array train;
    train.push_back(Absolute(options.train));
    if (!options.conversations.empty()) train.push_back(Absolute(options.conversations));
    data.insert_or_assign("train", std::move(train));
  }
  if (!options.validation.empty()) {
    toml::array validation;
    validation.push_back(Absolute(options.validation));
    data.insert_or_assign("validation", std::move(validation));
  }
}

void SetTeacher(const RelufyOptions& options, toml::table* whole) {
  toml::table& distill = Table(whole, "distill");
  const RelufyTeacher teacher = options.teacher;
  if (teacher == RelufyTeacher::kNone || teacher == RelufyTeacher::kKl) {
    distill.insert_or_assign("layerwise_until", 0);
    distill.insert_or_assign("fit_tokens", 0);
  }
  if (teacher == RelufyTeacher::kNone || teacher == RelufyTeacher::kLayers) {
    distill.insert_or_assign("kl_weight", 0);
  }
  distill.insert_or_assign(
      "teacher", teacher == RelufyTeacher::kNone ? std::string() : Absolute(options.model));
}

// Windows as long as the model's context allows, steps for as many tokens as were asked for.
void Fit(const RelufyOptions& options, const ModelConfig& config, Recipe* recipe) {
  recipe->sequence_length = std::min(recipe->sequence_length, config.max_position_embeddings);
  if (options.tokens == 0) return;
  const auto step = static_cast<double>(recipe->batch_size * recipe->sequence_length);
  recipe->steps =
      std::max<int64_t>(1, std::llround(std::ceil(static_cast<double>(options.tokens) / step)));
}

}  // namespace

std::string_view RelufyDefaults() {
  return R"([data]
sequence_length = 512      # less where the model's context is shorter

[optimizer]
learning_rate = 1.5e-4     # after a warm-up over a fiftieth of the steps
weight_decay = 0           # the weights are where they should be but for the activation

[training]
steps = 2000
batch_size = 4
validate_every = 200
validation_batches = 16
export_type = "bf16"

[distill]
fit_tokens = 131072        # before the first step, in closed form: most of the way
kl_weight = 0.25

[[activation]]
activation = "relu"
)";
}

Recipe MakeRelufyRecipe(const RelufyOptions& options, const ModelConfig& config) {
  toml::table whole = ParseToml(RelufyDefaults(), kDefaultsName);
  RecipeSource source = {.file = kDefaultsName, .base = {}};
  SetTeacher(options, &whole);
  SetData(options, &whole);
  if (!options.recipe.empty()) {
    source = {.file = options.recipe.string(), .base = options.recipe.parent_path()};
    MergeTable(&whole, ParseToml(ReadFile(options.recipe, kMaxRecipeBytes), source.file));
  }
  Table(&whole, "model").insert_or_assign("init_from", Absolute(options.model));
  for (const std::string& text : options.overrides) ApplyOverride(text, &whole);
  Recipe recipe = RecipeOfTable(whole, source);
  Fit(options, config, &recipe);
  if (!whole.at_path("optimizer.warmup_steps")) {
    recipe.warmup_steps = std::min(recipe.steps / 50, recipe.steps - DecaySteps(recipe));
  }
  const Activation last = FinalActivation(recipe);
  if (!last.sparse()) {
    throw Error({.where = source.file,
                 .what = "the last phase's activation lets every neuron fire",
                 .got = ToString(last),
                 .expected = "relu or relu2"});
  }
  return recipe;
}

ModelConfig CheckRelufiable(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_regular_file(folder, ignored)) {
    throw Error({.where = folder.string(),
                 .what = "a file",
                 .expected = "a model folder",
                 .hint = "stocha convert makes one of a GGUF"});
  }
  const Checkpoint checkpoint = OpenCheckpoint(folder);
  if (checkpoint.config.activation.sparse()) {
    throw Error({.where = folder.string(),
                 .what = "the model is sparse already",
                 .got = "activation " + ToString(checkpoint.config.activation),
                 .hint = "run it with stocha generate, or train it on with stocha train and "
                         "model.init_from"});
  }
  if (!checkpoint.has_tokenizer()) {
    throw Error({.where = folder.string(),
                 .what = "no tokenizer.json, which the text needs",
                 .hint = "put the model's tokenizer.json there"});
  }
  return checkpoint.config;
}

}  // namespace stocha
