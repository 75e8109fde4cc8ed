#include "stocha/train/checkpoint_op.h"

#include <ATen/core/ivalue.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <utility>

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SavedFunction : torch::CustomClassHolder {
  explicit SavedFunction(CheckpointFunction value) : function(std::move(value)) {}
  CheckpointFunction function;
};

at::Tensor Leaf(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.detach().requires_grad_() : tensor;
}

at::Tensor GradientOf(const at::Tensor& leaf) { return leaf.defined() ? leaf.grad() : leaf; }

class Op : public torch::autograd::Function<Op> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const std::optional<at::Tensor>& optional_delta,
                               const CheckpointFunction& function) {
    const at::Tensor delta = optional_delta.value_or(at::Tensor());
    context->save_for_backward({x, delta});
    context->saved_data["function"] =
        c10::IValue::make_capsule(c10::make_intrusive<SavedFunction>(function));
    const CheckpointTensors outputs = function({x, delta}, /*again=*/false);
    return {outputs.x, outputs.delta};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const auto function = c10::static_intrusive_pointer_cast<SavedFunction>(
        context->saved_data["function"].toCapsule());
    const CheckpointTensors inputs = {Leaf(saved[0]), Leaf(saved[1])};
    CheckpointTensors outputs;
    {
      const c10::AutoGradMode record(true);
      outputs = function->function(inputs, /*again=*/true);
    }
    torch::autograd::backward({outputs.x, outputs.delta}, grad_outputs);
    return {GradientOf(inputs.x), GradientOf(inputs.delta), at::Tensor()};
  }
};

}  // namespace

CheckpointTensors Checkpointed(const CheckpointTensors& inputs,
                               const CheckpointFunction& function) {
  const std::optional<at::Tensor> delta =
      inputs.delta.defined() ? std::optional(inputs.delta) : std::nullopt;
  variable_list outputs = Op::apply(inputs.x, delta, function);
  return {outputs[0], outputs[1]};
}

}  // namespace stocha
