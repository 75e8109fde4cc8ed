#include "stocha/train/teacher.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include "stocha/train/weights.h"

namespace stocha {

Teacher::Teacher(const Checkpoint& checkpoint, ComputeType compute_type)
    : model_(checkpoint.config, LoadWeights(checkpoint)) {
  const c10::NoGradGuard no_grad;
  options_.activation = checkpoint.config.activation;
  options_.compute_type = compute_type;
  options_.weights = model_.CastWeights(compute_type);
}

at::Tensor Teacher::Hidden(const at::Tensor& ids, const FeedForwardObserver& observer) const {
  const c10::NoGradGuard no_grad;
  ForwardOptions options = options_;
  options.feed_forward_observer = observer;
  return model_.Hidden(ids, options);
}

double AccumulateLayerwise(const Transformer& student, const Teacher& teacher,
                           const at::Tensor& ids, const ForwardOptions& options, double scale) {
  const double layers = static_cast<double>(student.config().num_hidden_layers);
  double error = 0;
  teacher.Hidden(ids, [&](int layer, const at::Tensor& x, const at::Tensor& y,
                          const at::Tensor& stream) {
    const at::Tensor target = y.to(at::kFloat);
    const at::Tensor inverse_squares = (stream + target).square().sum(1).reciprocal();
    const c10::AutoGradMode record(true);
    const at::Tensor difference = student.FeedForward(x, layer, options).to(at::kFloat) - target;
    const at::Tensor share = (difference.square().sum(1) * inverse_squares).mean() / layers;
    (share * scale).backward();
    error += share.item<float>();
  });
  return error;
}

LossParts AccumulateDistilled(const Transformer& student, const Teacher& teacher,
                              const at::Tensor& ids, const at::Tensor& targets, double kl_weight,
                              const ForwardOptions& options, double scale) {
  const LossTeacher of_teacher = {
      .hidden = teacher.Hidden(ids, {}), .head = teacher.head(), .kl_weight = kl_weight};
  LossParts parts;
  const at::Tensor loss = MeanDistilledLoss(student.Hidden(ids, options), options.weights->head,
                                            targets.reshape({-1}), of_teacher, &parts);
  (loss * scale).backward();
  return parts;
}

}  // namespace stocha
