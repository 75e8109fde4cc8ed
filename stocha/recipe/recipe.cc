#include "stocha/recipe/recipe.h"

#include <fmt/format.h>

#include <algorithm>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/recipe/recipe_reader.h"
#include "stocha/recipe/recipe_table.h"
#include "stocha/recipe/schedule.h"

namespace stocha {
namespace {

// Sizes that follow from others when left out.
void FillModel(const RecipeReader& reader, ModelConfig* model) {
  const std::pair<const char*, int64_t> needed[] = {
      {"model.hidden_size", model->hidden_size},
      {"model.intermediate_size", model->intermediate_size},
      {"model.num_hidden_layers", model->num_hidden_layers},
      {"model.num_attention_heads", model->num_attention_heads}};
  for (const auto& [key, value] : needed) {
    if (value != 0) continue;
    throw Error({.where = reader.Where(key),
                 .what = std::string(key) + " is missing",
                 .hint = "give the model's shape, or model.init_from alone"});
  }
  if (model->num_key_value_heads == 0) model->num_key_value_heads = model->num_attention_heads;
  if (model->head_dim != 0) return;
  if (model->hidden_size % model->num_attention_heads != 0) {
    throw Error({.where = reader.Where("model.num_attention_heads"),
                 .what = "model.num_attention_heads does not divide hidden_size",
                 .got = fmt::format("{} heads, hidden_size {}", model->num_attention_heads,
                                    model->hidden_size),
                 .hint = "set model.head_dim"});
  }
  model->head_dim = model->hidden_size / model->num_attention_heads;
}

void CheckModel(const RecipeReader& reader, Recipe* recipe) {
  if (!recipe->init_from.empty() && recipe->model == ModelConfig{}) return;
  FillModel(reader, &recipe->model);
  if (recipe->model.vocab_size == 0 && recipe->tokenizer.empty()) {
    throw Error(
        {.where = reader.Where("model.vocab_size"),
         .what = "neither model.vocab_size nor model.tokenizer is set",
         .hint = "set model.tokenizer to the tokenizer.json that the shards were made with"});
  }
  ModelConfig checked = recipe->model;
  if (checked.vocab_size == 0) checked.vocab_size = 1;  // the tokenizer's, not known yet
  ValidateModelConfig(checked, reader.Where("model"));
  if (recipe->sequence_length > recipe->model.max_position_embeddings) {
    throw Error({.where = reader.Where("data.sequence_length"),
                 .what = "data.sequence_length exceeds model.max_position_embeddings",
                 .got = std::to_string(recipe->sequence_length),
                 .expected = fmt::format("at most {}", recipe->model.max_position_embeddings)});
  }
}

void CheckBatches(const RecipeReader& reader, const Recipe& recipe) {
  if (recipe.train.empty()) {
    throw Error({.where = reader.Where("data.train"),
                 .what = "data.train is missing",
                 .expected = "token shards or folders of them",
                 .hint = "make them with: stocha tokenize"});
  }
  // A token's row in the global batch is a 32-bit counter of the coins.
  constexpr int64_t kMaxRows = int64_t{1} << 32;
  if (recipe.batch_size * recipe.sequence_length > kMaxRows) {
    throw Error({.where = reader.Where("training.batch_size"),
                 .what = "tokens a step, batch_size * sequence_length",
                 .got = std::to_string(recipe.batch_size * recipe.sequence_length),
                 .expected = "at most " + std::to_string(kMaxRows)});
  }
  if (recipe.micro_batch_size != 0 && recipe.batch_size % recipe.micro_batch_size != 0) {
    throw Error(
        {.where = reader.Where("training.micro_batch_size"),
         .what = "training.micro_batch_size does not divide batch_size",
         .got = fmt::format("{}, batch_size {}", recipe.micro_batch_size, recipe.batch_size)});
  }
}

void CheckSchedule(const RecipeReader& reader, const Recipe& recipe) {
  const int64_t left = recipe.steps - DecaySteps(recipe);
  if (recipe.warmup_steps <= left) return;
  throw Error({.where = reader.Where("optimizer.warmup_steps"),
               .what = "optimizer.warmup_steps leaves no room in training.steps",
               .got = std::to_string(recipe.warmup_steps),
               .expected = fmt::format("at most {}", left),
               .hint = "warm up over fewer steps or train for more"});
}

void CheckDistill(const RecipeReader& reader, const Recipe& recipe) {
  if (recipe.fit_tokens > 0 && recipe.fit_at > recipe.layerwise_until) {
    throw Error({.where = reader.Where("distill.fit_at"),
                 .what = "distill.fit_at is after distill.layerwise_until, when more than "
                         "feed-forward layers has been trained",
                 .got = fmt::format("{}", recipe.fit_at),
                 .expected = fmt::format("at most {}", recipe.layerwise_until)});
  }
  const bool trains_ffn = recipe.Trains(WeightGroup::kGate) || recipe.Trains(WeightGroup::kUp) ||
                          recipe.Trains(WeightGroup::kDown);
  if ((recipe.layerwise_until > 0 && !trains_ffn) ||
      (recipe.fit_tokens > 0 && !recipe.Trains(WeightGroup::kDown))) {
    throw Error({.where = reader.Where("training.train_only"),
                 .what = "training.train_only leaves out what the teacher teaches",
                 .expected = recipe.fit_tokens > 0 ? "\"down\" in it, for distill.fit_tokens"
                                                   : "\"gate\", \"up\" or \"down\" in it"});
  }
  const bool learns = recipe.layerwise_until > 0 || recipe.kl_weight > 0 || recipe.fit_tokens > 0;
  if (learns == !recipe.teacher.empty()) return;
  throw Error({.where = reader.Where("distill"),
               .what = learns ? "distill.teacher is missing" : "distill.teacher teaches nothing",
               .hint = learns ? "name a model folder, e.g. that of model.init_from"
                              : "set distill.layerwise_until, distill.fit_tokens or "
                                "distill.kl_weight"});
}

void CheckPhases(const RecipeReader& reader, const Recipe& recipe) {
  const auto fail = [&](size_t phase, std::string what, double got, std::string expected) {
    throw Error({.where = reader.Where(fmt::format("activation[{}]", phase)),
                 .what = fmt::format("activation[{}].{}", phase, what),
                 .got = fmt::format("{}", got),
                 .expected = std::move(expected)});
  };
  if (recipe.activation.empty()) {
    throw Error({.where = reader.Where("activation"),
                 .what = "no [[activation]]",
                 .expected = "at least one phase, e.g. activation = \"relu\""});
  }
  double before = 0;
  for (size_t i = 0; i < recipe.activation.size(); ++i) {
    const ActivationPhase& phase = recipe.activation[i];
    if (phase.until <= before) {
      fail(i, "until", phase.until, fmt::format("more than the phase before, {}", before));
    }
    before = phase.until;
    const bool anneals = phase.anneal_to != -1;
    if (anneals && phase.anneal_to < 0) fail(i, "anneal_to", phase.anneal_to, "0 to 1, or -1");
    const ActivationKind kind = phase.activation.kind;
    if (anneals && kind != ActivationKind::kStochastic && kind != ActivationKind::kExpected) {
      fail(i, "anneal_to", phase.anneal_to, "-1: only stocha:P and expected:P have a p to move");
    }
  }
  if (before != 1) fail(recipe.activation.size() - 1, "until", before, "1 for the last phase");
}

}  // namespace

bool Recipe::Trains(WeightGroup group) const {
  return train_only.empty() || std::ranges::find(train_only, group) != train_only.end();
}

Recipe RecipeOfTable(const toml::table& table, const RecipeSource& source) {
  Recipe recipe;
  RecipeReader reader(table, source);
  VisitRecipe(recipe, reader);
  reader.RejectUnknownKeys();
  CheckModel(reader, &recipe);
  CheckBatches(reader, recipe);
  CheckSchedule(reader, recipe);
  CheckDistill(reader, recipe);
  CheckPhases(reader, recipe);
  return recipe;
}

Recipe ParseRecipe(std::string_view toml, std::string_view where, const std::filesystem::path& base,
                   std::span<const std::string> overrides) {
  const RecipeSource source{.file = std::string(where), .base = base};
  toml::table table = ParseToml(toml, source.file);
  for (const std::string& text : overrides) ApplyOverride(text, &table);
  return RecipeOfTable(table, source);
}

Recipe ReadRecipe(const std::filesystem::path& file, std::span<const std::string> overrides) {
  return ParseRecipe(ReadFile(file, kMaxRecipeBytes), file.string(), file.parent_path(), overrides);
}

}  // namespace stocha
