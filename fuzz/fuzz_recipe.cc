// recipe.toml: parsed or refused; and what was parsed is written so that it reads back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/recipe/recipe.h"
#include "stocha/recipe/schedule.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  stocha::Recipe recipe;
  try {
    recipe = stocha::ParseRecipe(text, "recipe.toml", "/recipes");
  } catch (const stocha::Error&) {
    return 0;
  }
  if (!(stocha::ParseRecipe(stocha::RecipeToToml(recipe), "written", "/") == recipe)) std::abort();
  for (const int64_t step : {int64_t{0}, recipe.steps / 2, recipe.steps - 1}) {
    stocha::ActivationAt(recipe, step);
    if (!(stocha::LearningRateAt(recipe, step) <= recipe.learning_rate)) std::abort();
  }
  for (const int64_t step : stocha::ActivationSwitches(recipe)) {
    if (step <= 0 || step >= recipe.steps) std::abort();
  }
  return 0;
}
