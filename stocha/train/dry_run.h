// stocha train RECIPE --dry-run: what a run will take, before it is started.
#ifndef STOCHA_TRAIN_DRY_RUN_H_
#define STOCHA_TRAIN_DRY_RUN_H_

#include <cstdint>
#include <optional>
#include <string>

#include "stocha/recipe/recipe.h"
#include "stocha/train/probe.h"
#include "stocha/train/step_cost.h"

namespace stocha {

// The recipe with its model filled in, from the data where it does not say. Data that is still to
// be made is no error when the recipe says how large the vocabulary is, but a note, one line.
Recipe CompleteRecipe(const Recipe& recipe, std::string* note);

struct DryRun {
  StepCost cost;
  int64_t steps = 0;
  int64_t tokens_per_step = 0;
  bool has_fit = false;              // a fit (fit_projections.h), whose time is not in hours()
  int64_t process_bytes = 0;         // of the program itself, with torch
  int64_t available_bytes = 0;       // beyond those
  std::optional<StepMemory> memory;  // none: not asked for, or not even a part of it fits
  bool fits = true;                  // as far as is known
  std::optional<double> tokens_per_s;
  std::string note;  // one line that the user should read; may be empty

  std::optional<double> hours() const;
  // At the peak of a step; at least so much when `memory` is not known.
  int64_t needed_bytes() const {
    return memory ? memory->peak : process_bytes + cost.state_bytes();
  }
};

// probe_steps 0: only what arithmetic gives. Throws Error as a run would when an input is at fault;
// the training data may still be missing when the recipe says how large the vocabulary is.
DryRun DryRunOf(const Recipe& recipe, int64_t probe_steps);

std::string ToText(const DryRun& run);
std::string ToJson(const DryRun& run);

}  // namespace stocha

#endif  // STOCHA_TRAIN_DRY_RUN_H_
