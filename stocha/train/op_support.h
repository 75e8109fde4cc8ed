// What the autograd ops have in common: tensors as the kernels take them, and rows on torch's
// threads.
#ifndef STOCHA_TRAIN_OP_SUPPORT_H_
#define STOCHA_TRAIN_OP_SUPPORT_H_

#include <ATen/core/Tensor.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace stocha {

// How bfloat16 is passed to the kernels.
template <typename T>
using KernelType = std::conditional_t<std::is_same_v<T, at::BFloat16>, uint16_t, T>;

// Null for an undefined tensor.
template <typename T>
const KernelType<T>* Data(const at::Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  return reinterpret_cast<const KernelType<T>*>(tensor.const_data_ptr<T>());
}
template <typename T>
KernelType<T>* MutableData(at::Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  return reinterpret_cast<KernelType<T>*>(tensor.mutable_data_ptr<T>());
}

// Calls run(T()) with the element type of `tensor`, float32 or bfloat16. `op` is for the error.
template <typename Run>
void DispatchComputeType(const at::Tensor& tensor, const char* op, const Run& run) {
  switch (tensor.scalar_type()) {
    case at::kBFloat16:
      return run(at::BFloat16());
    case at::kFloat:
      return run(float());
    default:
      TORCH_CHECK(false, op, ": got ", tensor.scalar_type(), ", expected float32 or bfloat16");
  }
}

// Calls run(first, last, chunk) for chunks of `chunk_rows` rows, on torch's threads: they are
// OpenMP's, as many as at::set_num_threads said. (at::parallel_for does the same when compiled
// with OpenMP.) Chunks do not depend on the number of threads, so that sums of a chunk do not.
template <typename Run>
void ForEachChunk(int64_t rows, int64_t chunk_rows, const Run& run) {
  const int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    run(chunk * chunk_rows, std::min(rows, (chunk + 1) * chunk_rows), chunk);
  }
}

// Of the calling thread within ForEachChunk, below at::get_num_threads(). (at::get_thread_num()
// knows at::parallel_for's threads alone.)
inline int64_t ThreadNumber() { return omp_get_thread_num(); }

}  // namespace stocha

#endif  // STOCHA_TRAIN_OP_SUPPORT_H_
