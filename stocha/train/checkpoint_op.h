// A part of the model that keeps its inputs alone: the forward pass records nothing, and the
// backward pass runs the part again to have what its gradients need.
#ifndef STOCHA_TRAIN_CHECKPOINT_OP_H_
#define STOCHA_TRAIN_CHECKPOINT_OP_H_

#include <ATen/core/Tensor.h>

#include <functional>

namespace stocha {

struct CheckpointTensors {
  at::Tensor x;
  at::Tensor delta;  // as an input: may be undefined
};

// Computes the same bits each time. `again`: in the backward pass. What it refers to must live
// until then.
using CheckpointFunction =
    std::function<CheckpointTensors(const CheckpointTensors& inputs, bool again)>;

// function(inputs). Gradients of tensors that `function` captures are added to them in the backward
// pass, so that only .backward() sees them.
CheckpointTensors Checkpointed(const CheckpointTensors& inputs, const CheckpointFunction& function);

}  // namespace stocha

#endif  // STOCHA_TRAIN_CHECKPOINT_OP_H_
