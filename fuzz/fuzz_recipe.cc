// A recipe, and an experiment of recipes: parsed or refused; and what was parsed is written so that
// it reads back the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/experiment/experiment.h"
#include "stocha/recipe/recipe.h"
#include "stocha/recipe/schedule.h"

namespace {

void CheckRecipe(const stocha::Recipe& recipe) {
  if (!(stocha::ParseRecipe(stocha::RecipeToToml(recipe), "written", "/") == recipe)) std::abort();
  for (const int64_t step : {int64_t{0}, recipe.steps / 2, recipe.steps - 1}) {
    stocha::ActivationAt(recipe, step);
    if (!(stocha::LearningRateAt(recipe, step) <= recipe.learning_rate)) std::abort();
  }
  for (const int64_t step : stocha::ActivationSwitches(recipe)) {
    if (step <= 0 || step >= recipe.steps) std::abort();
  }
}

// No recipe may be an experiment.
bool IsRecipe(std::string_view text) {
  stocha::Recipe recipe;
  try {
    recipe = stocha::ParseRecipe(text, "recipe.toml", "/recipes");
  } catch (const stocha::Error&) {
    return false;
  }
  CheckRecipe(recipe);
  return true;
}

void CheckGroup(const stocha::RunGroup& group) {
  if (group.name().find('/') != std::string::npos) std::abort();  // it becomes a folder
  size_t runs = 0;
  for (const stocha::ExperimentRun& run : group.FirstRuns()) {
    CheckRecipe(group.RecipeOf(run));
    ++runs;
  }
  runs += group.OtherRuns(group.learning_rates[0]).size();
  if (runs != group.num_runs()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (IsRecipe(text)) return 0;
  stocha::Experiment experiment;
  try {
    experiment =
        stocha::ParseExperiment(text, "experiment.toml", {.base = "/recipes", .shards = "/text"});
  } catch (const stocha::Error&) {
    return 0;
  }
  for (const stocha::RunGroup& group : experiment.groups) CheckGroup(group);
  return 0;
}
