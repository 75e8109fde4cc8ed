#include "stocha/train/continue_recipe.h"

#include <algorithm>
#include <string_view>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// "table.key: OLD -> NEW" of the first line in which two recipes, written out, differ.
std::string FirstDifference(const Recipe& old_recipe, const Recipe& new_recipe) {
  const std::string texts[2] = {RecipeToToml(old_recipe), RecipeToToml(new_recipe)};
  size_t at[2] = {0, 0};
  std::string table;
  while (true) {
    std::string_view lines[2];
    for (int i = 0; i < 2; ++i) {
      const size_t end = std::min(texts[i].find('\n', at[i]), texts[i].size());
      lines[i] = std::string_view(texts[i]).substr(at[i], end - at[i]);
      at[i] = std::min(end + 1, texts[i].size());
    }
    if (lines[0] != lines[1]) {
      const size_t key_end = lines[0].find(" = ");
      const std::string key(lines[0].substr(0, key_end));
      const auto value = [key_end](std::string_view line) {
        return std::string(line.substr(std::min(line.size(), key_end + 3)));
      };
      if (key_end == std::string_view::npos || !lines[1].starts_with(key + " = ")) {
        return table + ": " + std::string(lines[0]) + " -> " + std::string(lines[1]);
      }
      return (table.empty() ? "" : table + ".") + key + ": " + value(lines[0]) + " -> " +
             value(lines[1]);
    }
    if (lines[0].starts_with("[")) {
      const size_t begin = lines[0].find_first_not_of('[');
      table = lines[0].substr(begin, lines[0].find(']') - begin);
    }
    if (at[0] == texts[0].size() && at[1] == texts[1].size()) return "";
  }
}

}  // namespace

std::string ContinueRecipe(const Recipe& saved, const std::string& where, Recipe* recipe) {
  const ModelConfig& model = saved.model;
  if (!recipe->init_from.empty() && recipe->model == ModelConfig{}) recipe->model = model;
  if (recipe->model.vocab_size == 0) recipe->model.vocab_size = model.vocab_size;
  if (recipe->tokenizer.empty()) recipe->tokenizer = saved.tokenizer;

  Recipe harmless = saved;
  harmless.threads = recipe->threads;
  harmless.checkpoint_every = recipe->checkpoint_every;
  harmless.checkpoint_minutes = recipe->checkpoint_minutes;
  harmless.keep_checkpoints = recipe->keep_checkpoints;
  harmless.validate_every = recipe->validate_every;
  harmless.validation_batches = recipe->validation_batches;
  harmless.export_type = recipe->export_type;
  const std::string difference = FirstDifference(harmless, *recipe);
  if (!difference.empty()) {
    throw Error(
        {.where = where,
         .what = "the recipe differs from the one this run was started with, in " + difference,
         .hint = "resume with the recipe.toml in the run's folder, or start another run"});
  }
  return FirstDifference(saved, harmless);
}

}  // namespace stocha
