#include "stocha/train/optimizer.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <set>

namespace stocha {
namespace {

// Decay pulls matrices towards 0; norms (scales around 1) and biases are vectors and are spared.
bool Decays(const TensorSpec& spec) { return spec.shape.size() > 1; }

// Of the weights that have one.
std::vector<at::Tensor> Gradients(std::span<const at::Tensor> weights) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& weight : weights) {
    if (weight.grad().defined()) gradients.push_back(weight.grad());
  }
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
  for (size_t i = 0; i < weights_.size(); ++i) {
    first_moments_.push_back(at::zeros_like(weights_[i]));
    second_moments_.push_back(at::zeros_like(weights_[i]));
    weight_decays_.push_back(Decays(specs[i]) ? recipe.weight_decay : 0);
  }
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
  for (const double weight_decay : std::set<double>(weight_decays_.begin(), weight_decays_.end())) {
    std::vector<at::Tensor> weights, first_moments, second_moments;
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (weight_decays_[i] != weight_decay || !weights_[i].grad().defined()) continue;
      weights.push_back(weights_[i]);
      first_moments.push_back(first_moments_[i]);
      second_moments.push_back(second_moments_[i]);
    }
    if (weights.empty()) continue;
    at::_fused_adamw_(weights, Gradients(weights), first_moments, second_moments,
                      /*max_exp_avg_sqs=*/{}, std::vector<at::Tensor>(weights.size(), steps_done_),
                      learning_rate, beta1_, beta2_, weight_decay, epsilon_, /*amsgrad=*/false,
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
