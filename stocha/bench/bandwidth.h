// How fast this machine reads memory: the roof that decoding, which reads every weight once a
// token, cannot pass.
#ifndef STOCHA_BENCH_BANDWIDTH_H_
#define STOCHA_BENCH_BANDWIDTH_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "stocha/base/memory.h"
#include "stocha/base/thread_pool.h"

namespace stocha {

// Smaller buffers partly stay in a large third-level cache and read too fast.
inline constexpr int64_t kBandwidthBytes = int64_t{4} << 30;

// kBandwidthBytes, or half of what is available where memory is short.
int64_t BandwidthBufferBytes(int64_t available_memory);

// A buffer of `bytes` bytes in huge pages, which all threads of the pool read.
class BandwidthProbe {
 public:
  // Fills the buffer. Borrows `pool`.
  BandwidthProbe(int64_t bytes, ThreadPool& pool);

  // Reads it once; bytes a second.
  double Pass();
  // The best of 5 passes; earlier ones alone when `cancelled` says so.
  double Best(const std::function<bool()>& cancelled = {});

  int64_t bytes() const { return buffer_.size(); }

 private:
  template <typename Work>
  void ForEachPiece(const Work& work);

  Buffer<std::byte> buffer_;
  ThreadPool& pool_;
};

}  // namespace stocha

#endif  // STOCHA_BENCH_BANDWIDTH_H_
