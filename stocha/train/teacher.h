// The model that another one learns from (recipe, [distill]), and the two ways to do so: layer by
// layer, and by the distributions of the next token.
#ifndef STOCHA_TRAIN_TEACHER_H_
#define STOCHA_TRAIN_TEACHER_H_

#include <ATen/core/Tensor.h>

#include "stocha/model/checkpoint.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/cross_entropy_op.h"
#include "stocha/train/transformer.h"

namespace stocha {

// Immutable. Its passes use its own activation, and record nothing.
class Teacher {
 public:
  // Reads the weights; the checkpoint is not needed afterwards.
  Teacher(const Checkpoint& checkpoint, ComputeType compute_type);

  const Transformer& model() const { return model_; }
  const ModelConfig& config() const { return model_.config(); }
  // Of its passes, with its weights.
  const ForwardOptions& options() const { return options_; }
  // [vocab_size, hidden_size] of the compute type.
  const at::Tensor& head() const { return options_.weights->head; }
  // The last norm's output, [tokens, hidden_size] of the compute type. ids: [sequences, tokens of
  // each]. `observer` may be empty.
  at::Tensor Hidden(const at::Tensor& ids, const FeedForwardObserver& observer) const;

 private:
  Transformer model_;
  ForwardOptions options_;
};

// Adds to the gradients of every FFN of `student` those of `scale` times its error, and returns the
// error, the mean over layers and tokens of
//
//   |y - teacher's y|^2 / |stream + teacher's y|^2
//
// y being an FFN's output from the teacher's input to its own, and the stream what it is added to:
// the share of the residual stream, as the next layers see it, that the student gets wrong. ids:
// [sequences, tokens of each]. options: the student's, with its weights.
double AccumulateLayerwise(const Transformer& student, const Teacher& teacher,
                           const at::Tensor& ids, const ForwardOptions& options, double scale);

// Adds to the gradients of `student` those of `scale` times (1 - kl_weight) cross-entropy +
// kl_weight KL(teacher || student). Returns both, unscaled. Likewise.
LossParts AccumulateDistilled(const Transformer& student, const Teacher& teacher,
                              const at::Tensor& ids, const at::Tensor& targets, double kl_weight,
                              const ForwardOptions& options, double scale);

}  // namespace stocha

#endif  // STOCHA_TRAIN_TEACHER_H_
