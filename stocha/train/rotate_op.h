// From the fused projections to what attention reads, as one autograd op: heads apart, q and k
// rotated by their positions. One pass, and one back for which nothing is kept.
#ifndef STOCHA_TRAIN_ROTATE_OP_H_
#define STOCHA_TRAIN_ROTATE_OP_H_

#include <ATen/core/Tensor.h>

#include "stocha/train/attention_op.h"

namespace stocha {

// Of the angles. Both [sequence, head_dim / 2], float32.
struct RopeTables {
  at::Tensor cos, sin;
};

// qkv: [batch * sequence, (query_heads + 2 * key_value_heads) * head_dim], float32 or bfloat16: the
// heads of q, of k and of v.
AttentionInputs SplitAndRotate(const at::Tensor& qkv, const RopeTables& rope, int64_t query_heads,
                               int64_t key_value_heads);

}  // namespace stocha

#endif  // STOCHA_TRAIN_ROTATE_OP_H_
