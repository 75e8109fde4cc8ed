// Where the time of a step goes, by part: the scopes that the ops name (RECORD_USER_SCOPE), matrix
// products wherever they stand but in attention, and in the backward pass the parts whose forward
// pass made the node.
#ifndef STOCHA_TRAIN_STEP_PROFILE_H_
#define STOCHA_TRAIN_STEP_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "stocha/recipe/recipe.h"

namespace stocha {

struct PartTime {
  std::string part;
  double forward_ms = 0;  // a step; also of what belongs to neither pass
  double backward_ms = 0;
};

struct StepProfile {
  std::vector<PartTime> parts;  // the longest first; they add up to step_ms
  double step_ms = 0;
  int64_t tokens_per_step = 0;
};

// The mean of `steps` steps of the recipe on random tokens, behind one that is not counted. The
// recipe's model is filled in. Threads are as SetUpTorch left them.
StepProfile ProfileStep(const Recipe& recipe, int64_t steps);

}  // namespace stocha

#endif  // STOCHA_TRAIN_STEP_PROFILE_H_
