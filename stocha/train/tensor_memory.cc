#include "stocha/train/tensor_memory.h"

#include <algorithm>

namespace stocha {

// Negative `bytes`: freed.
void TensorMemory::Counter::reportMemoryUsage(void* /*data*/, int64_t bytes, size_t /*allocated*/,
                                              size_t /*reserved*/, c10::Device /*device*/) {
  live += bytes;
  peak = std::max(peak, live);
}

}  // namespace stocha
