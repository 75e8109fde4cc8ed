#include "stocha/train/attention_op.h"

#include <ATen/Parallel.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "stocha/train/attention_kernel.h"
#include "stocha/train/matrix_product.h"
#include "stocha/train/op_support.h"
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Queries that are multiplied with all keys up to the last of them at once.
constexpr int64_t kQueryBlock = 128;
constexpr int64_t kScoresAtOnce = int64_t{1} << 20;
constexpr int64_t kChunkRows = 32;

// Sequences that are computed at once.
int64_t SequencesAtOnce(const at::Tensor& q) {
  const int64_t scores = q.size(1) * std::min(q.size(2), kQueryBlock) * q.size(2);
  return std::max<int64_t>(1, kScoresAtOnce / scores);
}

// Calls run(first, count) for the parts of `size`, the last one first.
template <typename Run>
void ForEachPart(int64_t size, int64_t part, const Run& run) {
  for (int64_t first = (size - 1) / part * part; first >= 0; first -= part) {
    run(first, std::min(part, size - first));
  }
}

// Sequences [first, first + count) of [batch, heads, sequence, head_dim], as [count * heads, ...].
at::Tensor Sequences(const at::Tensor& heads, int64_t first, int64_t count) {
  return heads.narrow(0, first, count).flatten(0, 1);
}
// Likewise, each head once for each of the `shared` query heads that it serves.
at::Tensor ForQueries(const at::Tensor& heads, int64_t first, int64_t count, int64_t shared) {
  const at::Tensor some = Sequences(heads, first, count);
  return shared == 1 ? some : some.repeat_interleave(shared, 0);
}
// The sum over those.
at::Tensor OverQueries(const at::Tensor& heads, int64_t shared) {
  return shared == 1 ? heads : heads.unflatten(0, {-1, shared}).sum(1);
}

// scores: [heads, queries, keys], contiguous; the first query is number `first` of its sequence.
// Replaced by probabilities, and `grad`, where defined, by the gradient of the scores.
void CausalSoftmax(at::Tensor scores, at::Tensor grad, int64_t first, int64_t head_dim) {
  const int64_t queries = scores.size(1);
  const int64_t keys = scores.size(2);
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));
  DispatchComputeType(scores, "CausalAttention", [&]<typename T>(T) {
    KernelType<T>* values = MutableData<T>(scores);
    KernelType<T>* gradients = MutableData<T>(grad);
    ForEachChunk(scores.size(0) * queries, kChunkRows, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t i = begin; i < end; ++i) {
        Softmax({.size = keys,
                 .valid = first + i % queries + 1,
                 .scale = scale,
                 .scores = values + i * keys,
                 .grad = gradients == nullptr ? nullptr : gradients + i * keys});
      }
    });
  });
}

at::Tensor Forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  at::Tensor mixed = at::empty(q.sizes(), q.options());
  const int64_t shared = q.size(1) / k.size(1);
  ForEachPart(q.size(0), SequencesAtOnce(q), [&](int64_t sequence, int64_t count) {
    const at::Tensor queries = Sequences(q, sequence, count);
    const at::Tensor keys = ForQueries(k, sequence, count, shared);
    const at::Tensor values = ForQueries(v, sequence, count, shared);
    const at::Tensor result = Sequences(mixed, sequence, count);
    ForEachPart(q.size(2), kQueryBlock, [&](int64_t first, int64_t block) {
      const int64_t last = first + block;
      const at::Tensor probabilities =
          at::bmm(queries.narrow(1, first, block), keys.narrow(1, 0, last).transpose(1, 2));
      CausalSoftmax(probabilities, {}, first, q.size(3));
      result.narrow(1, first, block).copy_(at::bmm(probabilities, values.narrow(1, 0, last)));
    });
  });
  return mixed.transpose(1, 2).reshape({q.size(0) * q.size(2), q.size(1) * q.size(3)});
}

// Into the first rows of `sum`, or to start it, in float32 where more is to come.
void Accumulate(const at::Tensor& part, bool more, at::Tensor* sum) {
  if (sum->defined()) {
    sum->narrow(1, 0, part.size(1)).add_(part);
  } else {
    *sum = more ? part.to(at::kFloat) : part;
  }
}

// grad_mixed: [batch, query_heads, sequence, head_dim]. Returns the gradients of q, k and v.
variable_list Backward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const at::Tensor& grad_mixed) {
  variable_list grads = {at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()),
                         at::empty(v.sizes(), v.options())};
  const int64_t shared = q.size(1) / k.size(1);
  ForEachPart(q.size(0), SequencesAtOnce(q), [&](int64_t sequence, int64_t count) {
    const at::Tensor queries = Sequences(q, sequence, count);
    const at::Tensor keys = ForQueries(k, sequence, count, shared);
    const at::Tensor values = ForQueries(v, sequence, count, shared);
    const at::Tensor grad = Sequences(grad_mixed, sequence, count);
    const at::Tensor grad_queries = Sequences(grads[0], sequence, count);
    at::Tensor grad_keys;
    at::Tensor grad_values;
    ForEachPart(q.size(2), kQueryBlock, [&](int64_t first, int64_t block) {
      const at::Tensor some_queries = queries.narrow(1, first, block);
      const at::Tensor some_keys = keys.narrow(1, 0, first + block);
      const at::Tensor some_values = values.narrow(1, 0, first + block);
      const at::Tensor some_grad = grad.narrow(1, first, block);
      const at::Tensor probabilities = at::bmm(some_queries, some_keys.transpose(1, 2));
      const at::Tensor grad_scores = at::bmm(some_grad, some_values.transpose(1, 2));
      CausalSoftmax(probabilities, grad_scores, first, q.size(3));
      Accumulate(at::bmm(probabilities.transpose(1, 2), some_grad), first > 0, &grad_values);
      Accumulate(at::bmm(grad_scores.transpose(1, 2), some_queries), first > 0, &grad_keys);
      grad_queries.narrow(1, first, block).copy_(at::bmm(grad_scores, some_keys));
    });
    Sequences(grads[1], sequence, count).copy_(OverQueries(grad_keys, shared));
    Sequences(grads[2], sequence, count).copy_(OverQueries(grad_values, shared));
  });
  return grads;
}

// What Forward and Backward compute in.
at::ScalarType ProductType(const at::Tensor& q) {
  return MultipliesAsFloat(q) ? at::kFloat : q.scalar_type();
}

// For bfloat16 alone; null: none on this machine.
const AttentionKernel* KernelFor(const at::Tensor& q) {
  return q.scalar_type() == at::kBFloat16 ? SelectedAttentionKernel(q.size(3)) : nullptr;
}

struct KernelTensors {
  at::Tensor q, k, v;     // as AttentionInputs
  at::Tensor mixed;       // [batch * sequence, query_heads * head_dim]
  at::Tensor log_sums;    // [batch, query_heads, sequence], f32
  at::Tensor grad_mixed;  // as mixed
  at::Tensor grad_q, grad_k, grad_v;
};

// Calls run(head, scratch) for each sequence and key and value head, on torch's threads.
template <typename Run>
void ForEachHead(const AttentionKernel& kernel, KernelTensors& tensors, const Run& run) {
  using BF16 = at::BFloat16;
  const int64_t heads = tensors.k.size(1);
  AttentionHead first = {.sequence = tensors.q.size(2),
                         .head_dim = tensors.q.size(3),
                         .queries = tensors.q.size(1) / heads,
                         .q = Data<BF16>(tensors.q),
                         .k = Data<BF16>(tensors.k),
                         .v = Data<BF16>(tensors.v),
                         .mixed = MutableData<BF16>(tensors.mixed),
                         .mixed_stride = tensors.mixed.size(1),
                         .log_sums = tensors.log_sums.mutable_data_ptr<float>(),
                         .grad_mixed = Data<BF16>(tensors.grad_mixed),
                         .grad_q = MutableData<BF16>(tensors.grad_q),
                         .grad_k = MutableData<BF16>(tensors.grad_k),
                         .grad_v = MutableData<BF16>(tensors.grad_v)};
  const auto scratch_bytes = static_cast<int64_t>(kernel.scratch_bytes(first));
  at::Tensor scratch = at::empty({at::get_num_threads(), scratch_bytes}, at::kByte);
  auto* scratch_data = scratch.mutable_data_ptr<uint8_t>();
  ForEachChunk(tensors.q.size(0) * heads, 1, [&](int64_t i, int64_t, int64_t) {
    AttentionHead head = first;
    const int64_t key_values = first.sequence * first.head_dim;
    const int64_t queries = first.queries * key_values;
    const int64_t in_mixed = i / heads * first.sequence * first.mixed_stride +
                             i % heads * first.queries * first.head_dim;
    head.q += i * queries;
    head.k += i * key_values;
    head.v += i * key_values;
    head.mixed += in_mixed;
    head.log_sums += i * first.queries * first.sequence;
    if (head.grad_mixed != nullptr) {
      head.grad_mixed += in_mixed;
      head.grad_q += i * queries;
      head.grad_k += i * key_values;
      head.grad_v += i * key_values;
    }
    run(head, scratch_data + ThreadNumber() * scratch_bytes);
  });
}

KernelTensors ForwardByKernel(const AttentionKernel& kernel, const at::Tensor& q,
                              const at::Tensor& k, const at::Tensor& v) {
  KernelTensors tensors;
  tensors.q = q;
  tensors.k = k;
  tensors.v = v;
  tensors.mixed = at::empty({q.size(0) * q.size(2), q.size(1) * q.size(3)}, q.options());
  tensors.log_sums = at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
  ForEachHead(kernel, tensors, kernel.forward);
  return tensors;
}

variable_list BackwardByKernel(const AttentionKernel& kernel, const variable_list& saved,
                               const at::Tensor& grad_mixed) {
  KernelTensors tensors = {.q = saved[0],
                           .k = saved[1],
                           .v = saved[2],
                           .mixed = saved[3],
                           .log_sums = saved[4],
                           .grad_mixed = grad_mixed.contiguous(),
                           .grad_q = at::empty_like(saved[0]),
                           .grad_k = at::empty_like(saved[1]),
                           .grad_v = at::empty_like(saved[2])};
  ForEachHead(kernel, tensors, kernel.backward);
  return {tensors.grad_q, tensors.grad_k, tensors.grad_v};
}

class Op : public torch::autograd::Function<Op> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v) {
    if (const AttentionKernel* kernel = KernelFor(q)) {
      const KernelTensors tensors = ForwardByKernel(*kernel, q, k, v);
      context->save_for_backward({q, k, v, tensors.mixed, tensors.log_sums});
      return tensors.mixed;
    }
    context->save_for_backward({q, k, v});
    const at::ScalarType type = ProductType(q);
    return Forward(q.to(type), k.to(type), v.to(type)).to(q.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& q = saved[0];
    if (const AttentionKernel* kernel = KernelFor(q)) {
      return BackwardByKernel(*kernel, saved, grad_outputs[0]);
    }
    const at::Tensor grad_mixed = grad_outputs[0]
                                      .view({q.size(0), q.size(2), q.size(1), q.size(3)})
                                      .transpose(1, 2)
                                      .contiguous();
    const at::ScalarType type = ProductType(q);
    variable_list grads =
        Backward(q.to(type), saved[1].to(type), saved[2].to(type), grad_mixed.to(type));
    for (at::Tensor& grad : grads) grad = grad.to(q.scalar_type());
    return grads;
  }
};

}  // namespace

at::Tensor CausalAttention(const AttentionInputs& inputs) {
  RECORD_USER_SCOPE("attention");
  const auto& [q, k, v] = inputs;
  TORCH_CHECK(q.dim() == 4 && k.sizes() == v.sizes() && k.dim() == 4 && q.numel() > 0 &&
                  k.size(0) == q.size(0) && q.size(1) % k.size(1) == 0 && k.size(2) == q.size(2) &&
                  k.size(3) == q.size(3),
              "CausalAttention: q is ", q.sizes(), ", k ", k.sizes(), " and v ", v.sizes());
  return Op::apply(q.contiguous(), k.contiguous(), v.contiguous());
}

}  // namespace stocha
