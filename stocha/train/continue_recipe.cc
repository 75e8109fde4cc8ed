#include "stocha/train/continue_recipe.h"

#include <fmt/format.h>

#include <sstream>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// The next line; empty past the end.
std::string NextLine(std::istringstream& text) {
  std::string line;
  std::getline(text, line);
  return line;
}

// "table.key: OLD -> NEW" of the first line in which two recipes, written out, differ; "" without
// one.
std::string FirstDifference(const Recipe& old_recipe, const Recipe& new_recipe) {
  std::istringstream old_text(RecipeToToml(old_recipe));
  std::istringstream new_text(RecipeToToml(new_recipe));
  std::string table;
  while (old_text || new_text) {
    const std::string old_line = NextLine(old_text);
    const std::string new_line = NextLine(new_text);
    if (old_line.starts_with("[")) table = old_line.substr(old_line.find_first_not_of('['));
    if (old_line == new_line) continue;
    table = table.substr(0, table.find(']'));
    const std::string key = old_line.substr(0, old_line.find(" = "));
    if (key == old_line || !new_line.starts_with(key + " = ")) {
      return fmt::format("{}: {} -> {}", table, old_line, new_line);
    }
    return fmt::format("{}{}{}: {} -> {}", table, table.empty() ? "" : ".", key,
                       old_line.substr(key.size() + 3), new_line.substr(key.size() + 3));
  }
  return "";
}

}  // namespace

std::string ContinueRecipe(const Recipe& saved, const std::string& where, Recipe* recipe) {
  const ModelConfig& model = saved.model;
  if (!recipe->init_from.empty() && recipe->model == ModelConfig{}) recipe->model = model;
  if (recipe->model.vocab_size == 0) recipe->model.vocab_size = model.vocab_size;
  if (recipe->tokenizer.empty()) recipe->tokenizer = saved.tokenizer;

  Recipe harmless = saved;
  harmless.threads = recipe->threads;
  harmless.checkpoint_blocks = recipe->checkpoint_blocks;  // the same bits
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
  harmless.threads = saved.threads;  // what counts is the number in use, which may be the machine's
  return FirstDifference(saved, harmless);
}

}  // namespace stocha
