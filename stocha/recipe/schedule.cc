#include "stocha/recipe/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace stocha {
namespace {

// Steps with number < PhaseEnd belong to the phase or to one before it.
int64_t PhaseEnd(const Recipe& recipe, const ActivationPhase& phase) {
  return std::llround(phase.until * static_cast<double>(recipe.steps));
}

// The phase's activation at `done`, 0 at its first step, 1 at its last.
Activation Annealed(const ActivationPhase& phase, double done) {
  Activation activation = phase.activation;
  if (phase.anneal_to < 0) return activation;
  const double p = activation.p() + (phase.anneal_to - activation.p()) * done;
  activation.p_65536 = StochasticActivation(p).p_65536;
  return activation;
}

}  // namespace

Activation ActivationAt(const Recipe& recipe, int64_t step) {
  int64_t begin = 0;
  for (const ActivationPhase& phase : recipe.activation) {
    const int64_t end = PhaseEnd(recipe, phase);
    if (step < end) {
      const int64_t last = end - 1;
      const double done =
          last > begin ? static_cast<double>(step - begin) / static_cast<double>(last - begin) : 1;
      return Annealed(phase, done);
    }
    begin = end;
  }
  return FinalActivation(recipe);
}

Activation FinalActivation(const Recipe& recipe) { return Annealed(recipe.activation.back(), 1); }

std::vector<int64_t> ActivationSwitches(const Recipe& recipe) {
  std::vector<int64_t> switches;
  int64_t begin = 0;
  for (const ActivationPhase& phase : recipe.activation) {
    const int64_t end = PhaseEnd(recipe, phase);
    if (end > begin && begin > 0) switches.push_back(begin);
    begin = end;
  }
  return switches;
}

bool LearnsLayerwise(const Recipe& recipe, int64_t step) {
  return step < std::llround(recipe.layerwise_until * static_cast<double>(recipe.steps));
}

int64_t FitStep(const Recipe& recipe) {
  if (recipe.fit_tokens == 0) return -1;
  const int64_t step = std::llround(recipe.fit_at * static_cast<double>(recipe.steps));
  return std::min(step, recipe.steps - 1);
}

int64_t DecaySteps(const Recipe& recipe) {
  if (recipe.schedule != LearningRateSchedule::kWsd) return 0;
  return std::llround(recipe.decay_fraction * static_cast<double>(recipe.steps));
}

double LearningRateAt(const Recipe& recipe, int64_t step) {
  const double peak = recipe.learning_rate;
  if (step < recipe.warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(recipe.warmup_steps);
  }
  const double floor = peak * recipe.min_learning_rate_ratio;
  const bool cosine = recipe.schedule == LearningRateSchedule::kCosine;
  const int64_t length = cosine ? recipe.steps - recipe.warmup_steps : DecaySteps(recipe);
  const int64_t begin = recipe.steps - length;
  if (step <= begin || length <= 0) return peak;
  const double done = static_cast<double>(step - begin) / static_cast<double>(length);
  const double share = cosine ? 0.5 * (1 + std::cos(std::numbers::pi * done)) : 1 - done;
  return floor + (peak - floor) * share;
}

}  // namespace stocha
