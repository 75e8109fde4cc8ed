// What a step of a model costs by arithmetic alone: nothing is run.
#ifndef STOCHA_TRAIN_STEP_COST_H_
#define STOCHA_TRAIN_STEP_COST_H_

#include <cstdint>

#include "stocha/model/config.h"

namespace stocha {

struct StepCost {
  int64_t parameters = 0;
  // Forward and backward, by the usual count (PaLM, appendix B): 6 for every weight that is in a
  // matrix product, a tied embedding once, as the head; and 12 * layers * q_size * sequence for
  // attention, as if it were not causal.
  double flops_per_token = 0;
  int64_t weight_bytes = 0;     // f32
  int64_t gradient_bytes = 0;   // f32
  int64_t optimizer_bytes = 0;  // two moments, f32

  int64_t state_bytes() const { return weight_bytes + gradient_bytes + optimizer_bytes; }
};

StepCost CostOfStep(const ModelConfig& config, int64_t sequence_length);

}  // namespace stocha

#endif  // STOCHA_TRAIN_STEP_COST_H_
