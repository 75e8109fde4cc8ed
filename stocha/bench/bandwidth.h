// How fast this machine reads memory: the roof that decoding, which reads every weight once a
// token, cannot pass.
#ifndef STOCHA_BENCH_BANDWIDTH_H_
#define STOCHA_BENCH_BANDWIDTH_H_

#include <cstdint>
#include <functional>

#include "stocha/base/thread_pool.h"

namespace stocha {

// Smaller buffers partly stay in a large third-level cache and read too fast.
inline constexpr int64_t kBandwidthBytes = int64_t{4} << 30;

// kBandwidthBytes, or half of what is available where memory is short.
int64_t BandwidthBufferBytes(int64_t available_memory);

// The best of 5 passes over `bytes` bytes in huge pages by all threads of the pool, bytes a second;
// earlier ones alone when `cancelled` says so.
double MeasureReadBandwidth(int64_t bytes, ThreadPool& pool,
                            const std::function<bool()>& cancelled = {});

}  // namespace stocha

#endif  // STOCHA_BENCH_BANDWIDTH_H_
