// Causal attention of one key and value head and of the query heads that it serves, forward and
// backward, in blocks of 32 queries and keys that stay in a core's own caches. Blocks beyond the
// diagonal are left out.
//
// Pure, on the calling thread alone: the same bits however the heads are spread over threads.
// Scores, probabilities and all sums are f32; bfloat16 is uint16_t here. What products take is
// bfloat16 with AMX or AVX512-BF16, probabilities rounded to it, and f32 with AVX-512 alone.
#ifndef STOCHA_TRAIN_ATTENTION_KERNEL_H_
#define STOCHA_TRAIN_ATTENTION_KERNEL_H_

#include <cstddef>
#include <cstdint>

namespace stocha {

struct AttentionHead {
  int64_t sequence = 0;
  int64_t head_dim = 0;         // a multiple of 32
  int64_t queries = 0;          // query heads
  const uint16_t* q = nullptr;  // [queries, sequence, head_dim]
  const uint16_t* k = nullptr;  // [sequence, head_dim]
  const uint16_t* v = nullptr;  // likewise
  // [sequence, queries * head_dim], a token every `mixed_stride`: written by the forward pass, read
  // by the backward pass.
  uint16_t* mixed = nullptr;
  int64_t mixed_stride = 0;
  // [queries, sequence]: log2 of the sum of 2^(score * log2 e), likewise.
  float* log_sums = nullptr;
  // Backward. grad_mixed is laid out as mixed, the others as q, k and v.
  const uint16_t* grad_mixed = nullptr;
  uint16_t* grad_q = nullptr;
  uint16_t* grad_k = nullptr;
  uint16_t* grad_v = nullptr;
};

struct AttentionKernel {
  // Bytes of scratch, aligned to 64, that a head of these sizes takes in either direction.
  size_t (*scratch_bytes)(const AttentionHead& head);
  void (*forward)(const AttentionHead& head, void* scratch);
  void (*backward)(const AttentionHead& head, void* scratch);
};

#if defined(__x86_64__)
extern const AttentionKernel kAttentionKernelAmx;
extern const AttentionKernel kAttentionKernelAvx512;
extern const AttentionKernel kAttentionKernelAvx512Bf16;
#endif

// The one for this machine, STOCHA_ISA and heads of that size; null: there is none.
const AttentionKernel* SelectedAttentionKernel(int64_t head_dim);

}  // namespace stocha

#endif  // STOCHA_TRAIN_ATTENTION_KERNEL_H_
