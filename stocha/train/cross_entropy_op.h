// The cross-entropy of the head's logits as one autograd op that holds the logits of a chunk of
// tokens at a time, in the compute type, and turns them into their gradient in place.
#ifndef STOCHA_TRAIN_CROSS_ENTROPY_OP_H_
#define STOCHA_TRAIN_CROSS_ENTROPY_OP_H_

#include <ATen/core/Tensor.h>

namespace stocha {

// hidden: [tokens, hidden_size], head: [vocab_size, hidden_size], both float32 or both bfloat16;
// targets: [tokens], int64, each in [0, vocab_size). Returns the mean of -log softmax(hidden
// head^T)[target], a float32 scalar.
at::Tensor MeanCrossEntropy(const at::Tensor& hidden, const at::Tensor& head,
                            const at::Tensor& targets);

// What a distilled loss is made of.
struct LossTeacher {
  at::Tensor hidden;  // [tokens, the teacher's hidden_size]
  at::Tensor head;    // [vocab_size, the teacher's hidden_size]
  double kl_weight = 0;
};
struct LossParts {
  double cross_entropy = 0;  // mean, nats a token
  double kl = 0;             // likewise, of softmax(teacher) from softmax(hidden head^T)
};

// Returns (1 - kl_weight) cross-entropy + kl_weight KL; `parts` gets both. The teacher's tensors
// are of the type of `hidden`; no gradient goes there.
at::Tensor MeanDistilledLoss(const at::Tensor& hidden, const at::Tensor& head,
                             const at::Tensor& targets, const LossTeacher& teacher,
                             LossParts* parts);

}  // namespace stocha

#endif  // STOCHA_TRAIN_CROSS_ENTROPY_OP_H_
