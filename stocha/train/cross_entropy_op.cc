#include "stocha/train/cross_entropy_op.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "stocha/train/op_support.h"
#include "stocha/train/row_kernels.h"
#include "stocha/train/weight_gradient.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLogitsAtOnce = int64_t{1} << 25;  // about
constexpr int64_t kMinChunkTokens = 256;             // fewer waste the products of matrices
constexpr int64_t kThreadRows = 8;

// logits: [tokens, vocab_size]; replaced by grad_scale * their gradient where that is not 0.
// Returns the sum of the losses.
double SumOfLosses(at::Tensor& logits, const int64_t* targets, float grad_scale) {
  const int64_t tokens = logits.size(0);
  const int64_t vocab_size = logits.size(1);
  std::vector<float> losses(tokens);
  DispatchComputeType(logits, "MeanCrossEntropy", [&]<typename T>(T) {
    KernelType<T>* values = MutableData<T>(logits);
    ForEachChunk(tokens, kThreadRows, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t i = begin; i < end; ++i) {
        losses[i] = CrossEntropy({.size = vocab_size,
                                  .target = targets[i],
                                  .grad_scale = grad_scale,
                                  .logits = values + i * vocab_size});
      }
    });
  });
  double sum = 0;
  for (const float loss : losses) sum += loss;
  return sum;
}

// Tokens of a chunk, all chunks alike: a short last one would read the whole head for a few tokens.
int64_t ChunkTokens(int64_t tokens, int64_t vocab_size) {
  const int64_t wanted = (tokens * vocab_size + kLogitsAtOnce / 2) / kLogitsAtOnce;
  const int64_t chunks =
      std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, tokens / kMinChunkTokens));
  return (tokens + chunks - 1) / chunks;
}

struct Result {
  at::Tensor loss, grad_hidden, grad_head;  // gradients: undefined where they are not wanted
};

Result Compute(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
               bool want_gradients) {
  const int64_t tokens = hidden.size(0);
  const int64_t chunk_tokens = ChunkTokens(tokens, head.size(0));
  Result result;
  if (want_gradients) result.grad_hidden = at::empty(hidden.sizes(), hidden.options());
  double sum = 0;
  for (int64_t first = 0; first < tokens; first += chunk_tokens) {
    const int64_t count = std::min(chunk_tokens, tokens - first);
    const at::Tensor chunk = hidden.narrow(0, first, count);
    at::Tensor logits = at::mm(chunk, head.t());
    sum += SumOfLosses(logits, targets.const_data_ptr<int64_t>() + first,
                       want_gradients ? 1.0f / static_cast<float>(tokens) : 0);
    if (!want_gradients) continue;
    at::Tensor grad_chunk = result.grad_hidden.narrow(0, first, count);
    at::mm_out(grad_chunk, logits, head);
    const at::Tensor grad_head = WeightGradient(logits, chunk);
    if (count == tokens) {
      result.grad_head = grad_head;
    } else if (first == 0) {
      result.grad_head = grad_head.to(at::kFloat);
    } else {
      result.grad_head.add_(grad_head);
    }
  }
  result.loss = at::scalar_tensor(sum / static_cast<double>(tokens), at::kFloat);
  return result;
}

class Op : public torch::autograd::Function<Op> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& head, const at::Tensor& targets,
                            bool want_gradients) {
    const Result result = Compute(hidden, head, targets, want_gradients);
    if (want_gradients) context->save_for_backward({result.grad_hidden, result.grad_head});
    return result.loss;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    variable_list grads = context->get_saved_variables();
    const float scale = grad_outputs[0].item<float>();
    if (scale != 1) {
      for (at::Tensor& grad : grads) grad = grad * scale;
    }
    return {grads[0], grads[1], {}, {}};
  }
};

}  // namespace

at::Tensor MeanCrossEntropy(const at::Tensor& hidden, const at::Tensor& head,
                            const at::Tensor& targets) {
  RECORD_USER_SCOPE("loss");
  TORCH_CHECK(hidden.dim() == 2 && head.dim() == 2 && hidden.size(1) == head.size(1) &&
                  targets.dim() == 1 && targets.size(0) == hidden.size(0) && hidden.size(0) > 0,
              "MeanCrossEntropy: hidden is ", hidden.sizes(), ", the head ", head.sizes(),
              " and targets ", targets.sizes());
  const bool want_gradients =
      c10::GradMode::is_enabled() && (hidden.requires_grad() || head.requires_grad());
  return Op::apply(hidden.contiguous(), head, targets.contiguous(), want_gradients);
}

}  // namespace stocha
