// Causal attention as one autograd op; the backward pass computes the probabilities again.
//
// bfloat16 goes head by head through attention_kernel.h where the processor has AMX. Elsewhere it
// is products of all heads at once, which for short sequences leaves half of them beyond the
// diagonal and is still faster than blocks.
#ifndef STOCHA_TRAIN_ATTENTION_OP_H_
#define STOCHA_TRAIN_ATTENTION_OP_H_

#include <ATen/core/Tensor.h>

namespace stocha {

struct AttentionInputs {
  at::Tensor q;     // [batch, query_heads, sequence, head_dim], float32 or bfloat16
  at::Tensor k, v;  // [batch, key_value_heads, sequence, head_dim]
};

// softmax(q k^T / sqrt(head_dim)) v over the tokens up to each one in its sequence; every key and
// value head serves query_heads / key_value_heads. Probabilities are of the inputs' type, computed
// in float32. Returns [batch * sequence, query_heads * head_dim].
at::Tensor CausalAttention(const AttentionInputs& inputs);

}  // namespace stocha

#endif  // STOCHA_TRAIN_ATTENTION_OP_H_
