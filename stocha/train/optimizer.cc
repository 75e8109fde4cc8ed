#include "stocha/train/optimizer.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace stocha {
namespace {

// Decay pulls matrices towards 0; norms (scales around 1) and biases are vectors and are spared.
bool Decays(const TensorSpec& spec) { return spec.shape.size() > 1; }

std::vector<at::Tensor> Gradients(std::span<const at::Tensor> weights) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& weight : weights) gradients.push_back(weight.grad());
  return gradients;
}

}  // namespace

Optimizer::Optimizer(std::span<const TensorSpec> specs, std::span<const at::Tensor> weights,
                     const Recipe& recipe)
    : weights_(weights.begin(), weights.end()),
      steps_done_(at::zeros({}, at::kFloat)),
      beta1_(recipe.beta1),
      beta2_(recipe.beta2),
      epsilon_(recipe.epsilon),
      clip_norm_(recipe.clip_norm) {
  Group decayed;
  Group spared;
  decayed.weight_decay = recipe.weight_decay;
  for (size_t i = 0; i < weights_.size(); ++i) {
    first_moments_.push_back(at::zeros_like(weights_[i]));
    second_moments_.push_back(at::zeros_like(weights_[i]));
    Group& group = Decays(specs[i]) ? decayed : spared;
    group.weights.push_back(weights_[i]);
    group.first_moments.push_back(first_moments_[i]);
    group.second_moments.push_back(second_moments_[i]);
    group.steps.push_back(steps_done_);
  }
  groups_ = {decayed, spared};
}

double Optimizer::GradientNorm() const {
  double sum = 0;
  for (const at::Tensor& norm : at::_foreach_norm(Gradients(weights_), /*ord=*/2)) {
    const double value = norm.item<float>();
    sum += value * value;
  }
  return std::sqrt(sum);
}

void Optimizer::Step(double learning_rate, double gradient_norm) {
  const c10::NoGradGuard no_grad;
  // As torch.nn.utils.clip_grad_norm_ has it, its 1e-6 included.
  const double scale = clip_norm_ > 0 ? clip_norm_ / (gradient_norm + 1e-6) : 1;
  if (scale < 1) at::_foreach_mul_(Gradients(weights_), scale);
  set_step(step_ + 1);
  for (Group& group : groups_) {
    if (group.weights.empty()) continue;
    at::_fused_adamw_(group.weights, Gradients(group.weights), group.first_moments,
                      group.second_moments, /*max_exp_avg_sqs=*/{}, group.steps, learning_rate,
                      beta1_, beta2_, group.weight_decay, epsilon_, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
  DropGradients();
}

void Optimizer::DropGradients() {
  for (at::Tensor& weight : weights_) weight.mutable_grad().reset();
}

void Optimizer::set_step(int64_t step) {
  step_ = step;
  steps_done_.fill_(step);
}

}  // namespace stocha
