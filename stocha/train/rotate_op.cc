#include "stocha/train/rotate_op.h"

#include <ATen/ops/empty.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstring>
#include <initializer_list>
#include <utility>

#include "stocha/train/op_support.h"
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kChunkRows = 64;

// One of q, k and v.
template <typename T>
struct Part {
  T* heads;  // [batch, count, sequence, head_dim]
  int64_t count;
  bool rotates;
};

template <typename T>
void CopyHeads(const RotateRow<T>& row) {
  for (int64_t head = 0; head < row.heads; ++head) {
    std::memcpy(row.to + head * row.to_stride, row.from + head * row.from_stride,
                2 * row.half * sizeof(T));
  }
}

// Between `fused`, [tokens, heads of all parts, head_dim], and the parts: to them, rotated, or back
// from them, rotated back.
template <typename T>
void Move(T* fused, int64_t tokens, std::initializer_list<Part<T>> parts, const RopeTables& rope,
          bool back) {
  const int64_t sequence = rope.cos.size(0);
  const int64_t half = rope.cos.size(1);
  const float* cos = rope.cos.const_data_ptr<float>();
  const float* sin = rope.sin.const_data_ptr<float>();
  int64_t width = 0;
  for (const Part<T>& part : parts) width += part.count * 2 * half;
  ForEachChunk(tokens, kChunkRows, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t token = begin; token < end; ++token) {
      const int64_t position = token % sequence;
      T* in_fused = fused + token * width;
      for (const Part<T>& part : parts) {
        T* apart = part.heads + ((token / sequence) * part.count * sequence + position) * 2 * half;
        RotateRow<T> row = {.heads = part.count,
                            .half = half,
                            .cos = cos + position * half,
                            .sin = sin + position * half,
                            .direction = back ? -1.0f : 1.0f,
                            .from = in_fused,
                            .to = apart,
                            .from_stride = 2 * half,
                            .to_stride = sequence * 2 * half};
        if (back) {
          row.from = apart;
          row.to = in_fused;
          std::swap(row.from_stride, row.to_stride);
        }
        part.rotates ? Rotate(row) : CopyHeads(row);
        in_fused += part.count * 2 * half;
      }
    }
  });
}

// All contiguous.
void MoveBetween(at::Tensor qkv, at::Tensor q, at::Tensor k, at::Tensor v, const RopeTables& rope,
                 bool back) {
  DispatchComputeType(qkv, "SplitAndRotate", [&]<typename T>(T) {
    Move<KernelType<T>>(MutableData<T>(qkv), qkv.size(0),
                        {{MutableData<T>(q), q.size(1), true},
                         {MutableData<T>(k), k.size(1), true},
                         {MutableData<T>(v), v.size(1), false}},
                        rope, back);
  });
}

class Op : public torch::autograd::Function<Op> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& qkv,
                               const at::Tensor& cos, const at::Tensor& sin, int64_t query_heads,
                               int64_t key_value_heads) {
    context->save_for_backward({cos, sin});
    const int64_t sequence = cos.size(0);
    const auto heads = [&](int64_t count) {
      return at::empty({qkv.size(0) / sequence, count, sequence, 2 * cos.size(1)}, qkv.options());
    };
    variable_list parts = {heads(query_heads), heads(key_value_heads), heads(key_value_heads)};
    MoveBetween(qkv, parts[0], parts[1], parts[2], {cos, sin}, /*back=*/false);
    return parts;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor q = grad_outputs[0].contiguous();
    const at::Tensor k = grad_outputs[1].contiguous();
    const at::Tensor v = grad_outputs[2].contiguous();
    const int64_t width = (q.size(1) + 2 * k.size(1)) * q.size(3);
    at::Tensor grad_qkv = at::empty({q.size(0) * q.size(2), width}, q.options());
    MoveBetween(grad_qkv, q, k, v, {saved[0], saved[1]}, /*back=*/true);
    return {grad_qkv, {}, {}, {}, {}};
  }
};

}  // namespace

AttentionInputs SplitAndRotate(const at::Tensor& qkv, const RopeTables& rope, int64_t query_heads,
                               int64_t key_value_heads) {
  RECORD_USER_SCOPE("rotary");
  const int64_t width = (query_heads + 2 * key_value_heads) * 2 * rope.cos.size(1);
  TORCH_CHECK(qkv.dim() == 2 && qkv.size(1) == width && qkv.size(0) % rope.cos.size(0) == 0,
              "SplitAndRotate: got ", qkv.sizes(), ", expected [batch * ", rope.cos.size(0), ", ",
              width, "]");
  variable_list parts =
      Op::apply(qkv.contiguous(), rope.cos, rope.sin, query_heads, key_value_heads);
  return {parts[0], parts[1], parts[2]};
}

}  // namespace stocha
