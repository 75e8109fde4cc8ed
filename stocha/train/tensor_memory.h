// Bytes that torch's tensors take while this lives, on the thread that made it.
#ifndef STOCHA_TRAIN_TENSOR_MEMORY_H_
#define STOCHA_TRAIN_TENSOR_MEMORY_H_

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <memory>

namespace stocha {

// Counts what is allocated from now on; a tensor that is older is not seen to be freed.
class TensorMemory {
 public:
  TensorMemory() : guard_(c10::DebugInfoKind::PROFILER_STATE, counter_) {}

  int64_t live() const { return counter_->live; }
  int64_t peak() const { return counter_->peak; }

 private:
  struct Counter : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void* /*data*/, int64_t bytes, size_t /*allocated*/, size_t /*reserved*/,
                           c10::Device /*device*/) override;
    bool memoryProfilingEnabled() const override { return true; }

    int64_t live = 0;
    int64_t peak = 0;
  };

  std::shared_ptr<Counter> counter_ = std::make_shared<Counter>();
  c10::DebugInfoGuard guard_;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_TENSOR_MEMORY_H_
