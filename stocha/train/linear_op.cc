#include "stocha/train/linear_op.h"

#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "stocha/train/matrix_product.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Op : public torch::autograd::Function<Op> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["has_bias"] = bias.has_value();
    return LinearProduct(x, weight, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor grad = grad_outputs[0].contiguous();
    at::Tensor grad_bias;
    if (context->saved_data["has_bias"].toBool()) grad_bias = grad.sum(0);
    at::Tensor grad_x;
    at::Tensor grad_weight;
    if (context->needs_input_grad(0)) grad_x = MatrixProduct(grad, saved[1]);
    if (context->needs_input_grad(1)) grad_weight = MatrixProduct(grad.t(), saved[0]);
    return {grad_x, grad_weight, grad_bias};
  }
};

}  // namespace

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Op::apply(x.contiguous(), weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace stocha
