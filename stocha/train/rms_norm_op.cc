#include "stocha/train/rms_norm_op.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include "stocha/train/op_support.h"
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kChunkElements = 65536;

int64_t ChunkRows(int64_t size) {
  return std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, size));
}

// Calls run(X(), Y()) with the types of the residual stream and of what is normed.
template <typename Run>
void DispatchTypes(at::ScalarType x, at::ScalarType y, const Run& run) {
  if (x == at::kFloat && y == at::kFloat) return run(float(), float());
  if (x == at::kFloat && y == at::kBFloat16) return run(float(), at::BFloat16());
  if (x == at::kBFloat16 && y == at::kBFloat16) return run(at::BFloat16(), at::BFloat16());
  TORCH_CHECK(false, "RmsNorm: got ", x, " and ", y, ", expected float32 or bfloat16");
}

// x: [rows, size]; `normed` and `inverse_rms`, [rows], are filled, and `sum` where there is a
// delta.
void Forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon,
             at::Tensor sum, at::Tensor normed, at::Tensor inverse_rms) {
  const int64_t size = weight.numel();
  DispatchTypes(x.scalar_type(), normed.scalar_type(), [&]<typename X, typename Y>(X, Y) {
    RmsNormRow<KernelType<X>, KernelType<Y>> first;
    first.size = size;
    first.weight = weight.const_data_ptr<float>();
    first.epsilon = static_cast<float>(epsilon);
    first.x = Data<X>(x);
    first.delta = Data<Y>(delta);
    first.sum = MutableData<X>(sum);
    first.normed = MutableData<Y>(normed);
    float* inverse = inverse_rms.mutable_data_ptr<float>();
    ForEachChunk(inverse_rms.numel(), ChunkRows(size), [&](int64_t begin, int64_t end, int64_t) {
      auto row = first;
      for (int64_t i = begin; i < end; ++i) {
        row.x = first.x + i * size;
        if (first.delta != nullptr) {
          row.delta = first.delta + i * size;
          row.sum = first.sum + i * size;
        }
        row.normed = first.normed + i * size;
        inverse[i] = RmsNorm(row);
      }
    });
  });
}

struct Gradients {
  at::Tensor x, delta, weight;
};

// grad_sum may be undefined: 0.
Gradients Backward(const at::Tensor& sum, const at::Tensor& weight, const at::Tensor& inverse_rms,
                   const at::Tensor& grad_normed, const at::Tensor& grad_sum, bool want_delta) {
  const int64_t size = weight.numel();
  const int64_t rows = inverse_rms.numel();
  const int64_t chunk_rows = ChunkRows(size);
  Gradients grads;
  grads.x = at::empty(sum.sizes(), sum.options());
  const bool cast_delta = want_delta && grad_normed.scalar_type() != sum.scalar_type();
  if (cast_delta) grads.delta = at::empty(sum.sizes(), grad_normed.options());
  at::Tensor partial = at::zeros({(rows + chunk_rows - 1) / chunk_rows, size}, weight.options());
  DispatchTypes(sum.scalar_type(), grad_normed.scalar_type(), [&]<typename X, typename Y>(X, Y) {
    RmsNormRow<KernelType<X>, KernelType<Y>> first;
    first.size = size;
    first.weight = weight.const_data_ptr<float>();
    first.x = Data<X>(sum);
    first.grad_normed = Data<Y>(grad_normed);
    first.grad_sum = Data<X>(grad_sum);
    first.grad_x = MutableData<X>(grads.x);
    first.grad_delta = MutableData<Y>(grads.delta);
    float* grad_weight = partial.mutable_data_ptr<float>();
    const float* inverse = inverse_rms.const_data_ptr<float>();
    ForEachChunk(rows, chunk_rows, [&](int64_t begin, int64_t end, int64_t chunk) {
      auto row = first;
      row.grad_weight = grad_weight + chunk * size;
      for (int64_t i = begin; i < end; ++i) {
        row.inverse_rms = inverse[i];
        row.x = first.x + i * size;
        row.grad_normed = first.grad_normed + i * size;
        if (first.grad_sum != nullptr) row.grad_sum = first.grad_sum + i * size;
        row.grad_x = first.grad_x + i * size;
        if (first.grad_delta != nullptr) row.grad_delta = first.grad_delta + i * size;
        RmsNormBackward(row);
      }
    });
  });
  if (want_delta && !cast_delta) grads.delta = grads.x;
  grads.weight = partial.sum(0);
  return grads;
}

class NormOp : public torch::autograd::Function<NormOp> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon, at::ScalarType type) {
    at::Tensor normed = at::empty(x.sizes(), x.options().dtype(type));
    const at::Tensor inverse_rms = at::empty({x.numel() / weight.numel()}, weight.options());
    Forward(x, {}, weight, epsilon, {}, normed, inverse_rms);
    context->save_for_backward({x, weight, inverse_rms});
    return normed;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const Gradients grads = Backward(saved[0], saved[1], saved[2], grad_outputs[0].contiguous(), {},
                                     /*want_delta=*/false);
    return {grads.x, grads.weight, {}, {}};
  }
};

class AddNormOp : public torch::autograd::Function<AddNormOp> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const at::Tensor& delta, const at::Tensor& weight, double epsilon) {
    at::Tensor sum = at::empty(x.sizes(), x.options());
    at::Tensor normed = at::empty(delta.sizes(), delta.options());
    const at::Tensor inverse_rms = at::empty({x.size(0)}, weight.options());
    Forward(x, delta, weight, epsilon, sum, normed, inverse_rms);
    context->save_for_backward({sum, weight, inverse_rms});
    context->set_materialize_grads(false);
    return {sum, normed};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    TORCH_CHECK(grad_outputs[1].defined(), "AddRmsNorm: nothing reads what is normed");
    const at::Tensor grad_sum =
        grad_outputs[0].defined() ? grad_outputs[0].contiguous() : grad_outputs[0];
    const Gradients grads = Backward(saved[0], saved[1], saved[2], grad_outputs[1].contiguous(),
                                     grad_sum, /*want_delta=*/true);
    return {grads.x, grads.delta, grads.weight, {}};
  }
};

void CheckOperands(const at::Tensor& x, const at::Tensor& weight) {
  TORCH_CHECK(
      weight.dim() == 1 && weight.numel() > 0 && x.dim() >= 1 && x.size(-1) == weight.numel(),
      "RmsNorm: x is ", x.sizes(), " and the weight ", weight.sizes());
  TORCH_CHECK(weight.scalar_type() == at::kFloat, "RmsNorm: the weight is ", weight.scalar_type(),
              ", expected float32");
}

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                   at::ScalarType type) {
  RECORD_USER_SCOPE("norms");
  CheckOperands(x, weight);
  return NormOp::apply(x.contiguous(), weight, epsilon, type);
}

NormedSum AddRmsNorm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                     double epsilon) {
  RECORD_USER_SCOPE("norms");
  CheckOperands(x, weight);
  TORCH_CHECK(x.dim() == 2 && x.scalar_type() == at::kFloat && delta.sizes() == x.sizes(),
              "AddRmsNorm: x is ", x.sizes(), " and delta ", delta.sizes());
  variable_list outputs = AddNormOp::apply(x.contiguous(), delta.contiguous(), weight, epsilon);
  return {outputs[0], outputs[1]};
}

}  // namespace stocha
