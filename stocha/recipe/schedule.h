// What holds at a step: pure functions of (recipe, step), so a resume needs no schedule state.
#ifndef STOCHA_RECIPE_SCHEDULE_H_
#define STOCHA_RECIPE_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "stocha/recipe/recipe.h"

namespace stocha {

// The activation that step `step` (0-based, < recipe.steps) trains with. A phase covers the steps
// with step < round(until * steps); it may cover none. In an annealed phase p goes linearly from
// the phase's p at its first step to anneal_to at its last (a phase of one step has anneal_to).
Activation ActivationAt(const Recipe& recipe, int64_t step);

// The activation of the exported model: the last phase's, at its end.
Activation FinalActivation(const Recipe& recipe);

// The first step of every phase but the first, phases without a step left out: where a chart marks
// a switch. Rising, in (0, steps).
std::vector<int64_t> ActivationSwitches(const Recipe& recipe);

// Whether step `step` trains the FFNs alone on the teacher's outputs: step < round(layerwise_until
// * steps).
bool LearnsLayerwise(const Recipe& recipe, int64_t step);

// The step before which projections are fitted; -1: never.
int64_t FitStep(const Recipe& recipe);

// The steps at the end over which kWsd decays: round(decay_fraction * steps); kCosine: 0.
int64_t DecaySteps(const Recipe& recipe);

// Learning rate of step `step`: linear warm-up, (step + 1) / warmup_steps, then the schedule. As in
// transformers' schedules, the first step of a decay has the peak rate and the floor is what the
// step after the last would have.
double LearningRateAt(const Recipe& recipe, int64_t step);

}  // namespace stocha

#endif  // STOCHA_RECIPE_SCHEDULE_H_
