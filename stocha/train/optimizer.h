// AdamW over the weights, with global-norm clipping: at::_fused_adamw_, one call a decay group.
#ifndef STOCHA_TRAIN_OPTIMIZER_H_
#define STOCHA_TRAIN_OPTIMIZER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "stocha/model/tensors.h"
#include "stocha/recipe/recipe.h"

namespace stocha {

class Optimizer {
 public:
  // Borrows nothing: tensors are shared handles. Weight decay spares norms and biases. Reads beta1,
  // beta2, epsilon, weight_decay and clip_norm of `recipe`.
  Optimizer(std::span<const TensorSpec> specs, std::span<const at::Tensor> weights,
            const Recipe& recipe);

  // Global norm of the gradients, before clipping, of the weights that have one.
  double GradientNorm() const;
  // Clips by `gradient_norm`, updates the weights that have a gradient and drops the gradients. The
  // others stay as they are, without decay.
  void Step(double learning_rate, double gradient_norm);
  void DropGradients();

  // Updates done; set when a run is resumed, beside the moments.
  int64_t step() const { return step_; }
  void set_step(int64_t step);
  // First and second moments, f32, one a weight, in the order of `specs`.
  const std::vector<at::Tensor>& first_moments() const { return first_moments_; }
  const std::vector<at::Tensor>& second_moments() const { return second_moments_; }

 private:
  std::vector<at::Tensor> weights_, first_moments_, second_moments_;
  std::vector<double> weight_decays_;  // one a weight
  at::Tensor steps_done_;              // step_ as a f32 scalar, shared by all weights
  double beta1_, beta2_, epsilon_, clip_norm_;
  int64_t step_ = 0;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_OPTIMIZER_H_
