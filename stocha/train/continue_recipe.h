// Whether a recipe may continue a run that was started with another.
#ifndef STOCHA_TRAIN_CONTINUE_RECIPE_H_
#define STOCHA_TRAIN_CONTINUE_RECIPE_H_

#include <string>

#include "stocha/recipe/recipe.h"

namespace stocha {

// Makes `recipe`, as given, the one to continue a run with whose complete recipe is `saved`: what
// it leaves to init_from or the tokenizer is filled in from there. Throws Error (`where` at its
// head) naming the first key that differs, unless it is one that cannot change the weights
// (threads, checkpoints, validation, export_type). Returns what differs among those,
// threads left out, e.g. "training.keep_checkpoints: 2 -> 4", or "".
std::string ContinueRecipe(const Recipe& saved, const std::string& where, Recipe* recipe);

}  // namespace stocha

#endif  // STOCHA_TRAIN_CONTINUE_RECIPE_H_
