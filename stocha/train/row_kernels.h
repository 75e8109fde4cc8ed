// Vectorised passes over one row each: norms, rotation, softmax and cross-entropy, forward and
// backward, of the fused autograd ops. Pure, on the calling thread alone: any split of the rows
// gives the same bits. Computed in f32; bfloat16 is uint16_t, rounded to nearest even on the store.
#ifndef STOCHA_TRAIN_ROW_KERNELS_H_
#define STOCHA_TRAIN_ROW_KERNELS_H_

#include <cstdint>

namespace stocha {

// X: of the residual stream; Y: of the compute type.
template <typename X, typename Y>
struct RmsNormRow {
  int64_t size = 0;
  const float* weight = nullptr;  // [size]
  float epsilon = 0;
  const X* x = nullptr;  // [size]
  // Forward. normed = sum / rms(sum) * weight with sum = x + delta, or x where delta is null.
  const Y* delta = nullptr;  // [size] or null
  X* sum = nullptr;          // [size]; null where delta is
  Y* normed = nullptr;       // [size]
  // Backward, with `x` holding the sum. grad_x = grad_sum + what comes through the norm.
  float inverse_rms = 0;           // what the forward pass returned
  const Y* grad_normed = nullptr;  // [size]
  const X* grad_sum = nullptr;     // [size] or null: 0
  X* grad_x = nullptr;             // [size]
  Y* grad_delta = nullptr;         // [size], grad_x rounded to Y; may be null
  float* grad_weight = nullptr;    // [size], added to
};

// Half rotation: (first, second) -> (first cos - second sin, second cos + first sin) in each head.
template <typename T>
struct RotateRow {
  int64_t heads = 0;
  int64_t half = 0;            // head_dim / 2
  const float* cos = nullptr;  // [half]
  const float* sin = nullptr;  // [half]
  float direction = 1;         // -1: back
  const T* from = nullptr;     // [heads, 2 * half], a head every from_stride
  T* to = nullptr;             // likewise
  int64_t from_stride = 0;
  int64_t to_stride = 0;
};

// Softmax of scale * scores over the first `valid` of `size`, 0 beyond.
template <typename T>
struct SoftmaxRow {
  int64_t size = 0;
  int64_t valid = 0;
  float scale = 1;
  T* scores = nullptr;  // [size]; replaced by the probabilities
  // Backward: gradient of the probabilities, replaced by that of the scores. Null: forward alone.
  T* grad = nullptr;  // [size]
};

// -log softmax(logits)[target]; with a teacher, (1 - kl_weight) of it plus kl_weight times
// KL(softmax(teacher) || softmax(logits)) in the gradient.
template <typename T>
struct CrossEntropyRow {
  int64_t size = 0;
  int64_t target = 0;
  float grad_scale = 0;
  T* logits = nullptr;         // [size]; replaced by grad_scale * the gradient where that is not 0
  const T* teacher = nullptr;  // [size], its logits; null: none
  float kl_weight = 0;         // 0 .. 1
  float kl = 0;                // written: the divergence, nats
};

struct RowKernels {
  float (*rms_norm_f32)(const RmsNormRow<float, float>&);  // returns 1 / rms
  float (*rms_norm_f32_bf16)(const RmsNormRow<float, uint16_t>&);
  float (*rms_norm_bf16)(const RmsNormRow<uint16_t, uint16_t>&);
  void (*rms_norm_backward_f32)(const RmsNormRow<float, float>&);
  void (*rms_norm_backward_f32_bf16)(const RmsNormRow<float, uint16_t>&);
  void (*rms_norm_backward_bf16)(const RmsNormRow<uint16_t, uint16_t>&);
  void (*rotate_f32)(const RotateRow<float>&);
  void (*rotate_bf16)(const RotateRow<uint16_t>&);
  void (*softmax_f32)(const SoftmaxRow<float>&);
  void (*softmax_bf16)(const SoftmaxRow<uint16_t>&);
  float (*cross_entropy_f32)(CrossEntropyRow<float>&);  // returns the cross-entropy alone
  float (*cross_entropy_bf16)(CrossEntropyRow<uint16_t>&);
};

extern const RowKernels kRowKernelsPortable;
#if defined(__x86_64__)
extern const RowKernels kRowKernelsAvx2;
extern const RowKernels kRowKernelsAvx512;
extern const RowKernels kRowKernelsAvx512Bf16;
// Whether the processor has AVX-512's instructions on bfloat16.
bool HasAvx512Bf16();
#endif

// Those of SelectedIsa().
const RowKernels& SelectedRowKernels();

// The overloads behind the table.
inline float RmsNorm(const RmsNormRow<float, float>& row) {
  return SelectedRowKernels().rms_norm_f32(row);
}
inline float RmsNorm(const RmsNormRow<float, uint16_t>& row) {
  return SelectedRowKernels().rms_norm_f32_bf16(row);
}
inline float RmsNorm(const RmsNormRow<uint16_t, uint16_t>& row) {
  return SelectedRowKernels().rms_norm_bf16(row);
}
inline void RmsNormBackward(const RmsNormRow<float, float>& row) {
  SelectedRowKernels().rms_norm_backward_f32(row);
}
inline void RmsNormBackward(const RmsNormRow<float, uint16_t>& row) {
  SelectedRowKernels().rms_norm_backward_f32_bf16(row);
}
inline void RmsNormBackward(const RmsNormRow<uint16_t, uint16_t>& row) {
  SelectedRowKernels().rms_norm_backward_bf16(row);
}
inline void Rotate(const RotateRow<float>& row) { SelectedRowKernels().rotate_f32(row); }
inline void Rotate(const RotateRow<uint16_t>& row) { SelectedRowKernels().rotate_bf16(row); }
inline void Softmax(const SoftmaxRow<float>& row) { SelectedRowKernels().softmax_f32(row); }
inline void Softmax(const SoftmaxRow<uint16_t>& row) { SelectedRowKernels().softmax_bf16(row); }
inline float CrossEntropy(CrossEntropyRow<float>& row) {
  return SelectedRowKernels().cross_entropy_f32(row);
}
inline float CrossEntropy(CrossEntropyRow<uint16_t>& row) {
  return SelectedRowKernels().cross_entropy_bf16(row);
}

}  // namespace stocha

#endif  // STOCHA_TRAIN_ROW_KERNELS_H_
