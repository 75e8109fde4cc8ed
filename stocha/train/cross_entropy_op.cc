#include "stocha/train/cross_entropy_op.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "stocha/train/matrix_product.h"
#include "stocha/train/op_support.h"
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLogitsAtOnce = int64_t{1} << 25;  // about
constexpr int64_t kMinChunkTokens = 256;             // fewer waste the products of matrices
constexpr int64_t kThreadRows = 8;

// logits: [tokens, vocab_size]; replaced by grad_scale * their gradient where that is not 0.
// teacher: likewise, or undefined. Returns the sums of the tokens' losses.
LossParts SumOfLosses(at::Tensor& logits, const at::Tensor& teacher, double kl_weight,
                      const int64_t* targets, float grad_scale) {
  const int64_t tokens = logits.size(0);
  const int64_t vocab_size = logits.size(1);
  std::vector<float> losses(tokens);
  std::vector<float> divergences(tokens);
  DispatchComputeType(logits, "MeanCrossEntropy", [&]<typename T>(T) {
    KernelType<T>* values = MutableData<T>(logits);
    const KernelType<T>* teacher_values = Data<T>(teacher);
    ForEachChunk(tokens, kThreadRows, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t i = begin; i < end; ++i) {
        CrossEntropyRow<KernelType<T>> row = {.size = vocab_size,
                                              .target = targets[i],
                                              .grad_scale = grad_scale,
                                              .logits = values + i * vocab_size,
                                              .kl_weight = static_cast<float>(kl_weight)};
        if (teacher_values != nullptr) row.teacher = teacher_values + i * vocab_size;
        losses[i] = CrossEntropy(row);
        divergences[i] = row.kl;
      }
    });
  });
  LossParts sums;
  for (int64_t i = 0; i < tokens; ++i) {
    sums.cross_entropy += losses[i];
    sums.kl += divergences[i];
  }
  return sums;
}

// Tokens of a chunk, all chunks alike: a short last one would read the whole head for a few tokens.
int64_t ChunkTokens(int64_t tokens, int64_t vocab_size) {
  const int64_t wanted = (tokens * vocab_size + kLogitsAtOnce / 2) / kLogitsAtOnce;
  const int64_t chunks =
      std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, tokens / kMinChunkTokens));
  return (tokens + chunks - 1) / chunks;
}

struct Result {
  LossParts parts;
  at::Tensor loss, grad_hidden, grad_head;  // gradients: undefined where they are not wanted
};

struct Wanted {
  bool grad_hidden;
  bool grad_head;

  bool any() const { return grad_hidden || grad_head; }
};

Result Compute(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
               const LossTeacher& teacher, const Wanted& wanted) {
  const int64_t tokens = hidden.size(0);
  const int64_t chunk_tokens = ChunkTokens(tokens, head.size(0));
  Result result;
  if (wanted.grad_hidden) result.grad_hidden = at::empty(hidden.sizes(), hidden.options());
  for (int64_t first = 0; first < tokens; first += chunk_tokens) {
    const int64_t count = std::min(chunk_tokens, tokens - first);
    const at::Tensor chunk = hidden.narrow(0, first, count);
    at::Tensor logits = MatrixProduct(chunk, head.t());
    at::Tensor teacher_logits;
    if (teacher.hidden.defined()) {
      teacher_logits = MatrixProduct(teacher.hidden.narrow(0, first, count), teacher.head.t());
    }
    const LossParts sums = SumOfLosses(logits, teacher_logits, teacher.kl_weight,
                                       targets.const_data_ptr<int64_t>() + first,
                                       wanted.any() ? 1.0f / static_cast<float>(tokens) : 0);
    result.parts.cross_entropy += sums.cross_entropy / static_cast<double>(tokens);
    result.parts.kl += sums.kl / static_cast<double>(tokens);
    if (wanted.grad_hidden) {
      result.grad_hidden.narrow(0, first, count).copy_(MatrixProduct(logits, head));
    }
    if (!wanted.grad_head) continue;
    const at::Tensor grad_head = MatrixProduct(logits.t(), chunk);
    if (count == tokens) {
      result.grad_head = grad_head;
    } else if (first == 0) {
      result.grad_head = grad_head.to(at::kFloat);
    } else {
      result.grad_head.add_(grad_head);
    }
  }
  const double kl_weight = teacher.hidden.defined() ? teacher.kl_weight : 0;
  result.loss = at::scalar_tensor(
      (1 - kl_weight) * result.parts.cross_entropy + kl_weight * result.parts.kl, at::kFloat);
  return result;
}

class Op : public torch::autograd::Function<Op> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& head, const at::Tensor& targets,
                            const LossTeacher& teacher, LossParts* parts, const Wanted& wanted) {
    const Result result = Compute(hidden, head, targets, teacher, wanted);
    if (parts != nullptr) *parts = result.parts;
    if (wanted.any()) context->save_for_backward({result.grad_hidden, result.grad_head});
    return result.loss;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    variable_list grads = context->get_saved_variables();
    const float scale = grad_outputs[0].item<float>();
    if (scale != 1) {
      for (at::Tensor& grad : grads) {
        if (grad.defined()) grad = grad * scale;
      }
    }
    return {grads[0], grads[1], {}, {}, {}, {}};
  }
};

at::Tensor MeanLoss(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                    const LossTeacher& teacher, LossParts* parts) {
  RECORD_USER_SCOPE("loss");
  TORCH_CHECK(hidden.dim() == 2 && head.dim() == 2 && hidden.size(1) == head.size(1) &&
                  targets.dim() == 1 && targets.size(0) == hidden.size(0) && hidden.size(0) > 0,
              "MeanCrossEntropy: hidden is ", hidden.sizes(), ", the head ", head.sizes(),
              " and targets ", targets.sizes());
  const bool recorded = c10::GradMode::is_enabled();
  return Op::apply(hidden.contiguous(), head, targets.contiguous(), teacher, parts,
                   Wanted{.grad_hidden = recorded && hidden.requires_grad(),
                          .grad_head = recorded && head.requires_grad()});
}

}  // namespace

at::Tensor MeanCrossEntropy(const at::Tensor& hidden, const at::Tensor& head,
                            const at::Tensor& targets) {
  return MeanLoss(hidden, head, targets, {}, nullptr);
}

at::Tensor MeanDistilledLoss(const at::Tensor& hidden, const at::Tensor& head,
                             const at::Tensor& targets, const LossTeacher& teacher,
                             LossParts* parts) {
  TORCH_CHECK(teacher.hidden.dim() == 2 && teacher.head.dim() == 2 &&
                  teacher.hidden.size(0) == hidden.size(0) &&
                  teacher.hidden.size(1) == teacher.head.size(1) &&
                  teacher.head.size(0) == head.size(0) &&
                  teacher.hidden.scalar_type() == hidden.scalar_type() &&
                  teacher.head.scalar_type() == hidden.scalar_type(),
              "MeanDistilledLoss: hidden is ", hidden.sizes(), ", the head ", head.sizes(),
              ", the teacher's ", teacher.hidden.sizes(), " and ", teacher.head.sizes());
  return MeanLoss(hidden, head, targets, teacher, parts);
}

}  // namespace stocha
