#include "stocha/bench/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>

namespace stocha {
namespace {

constexpr int kPasses = 5;
constexpr int64_t kTaskBytes = int64_t{16} << 20;  // one long stream; small enough to share evenly

// One load of it is what every 64-bit ISA has; wider loads were no faster, memory is the limit.
using Vector = uint64_t __attribute__((vector_size(16)));
constexpr int kSums = 8;  // two cache lines

uint64_t ReadAll(const std::byte* data, int64_t bytes) {
  const auto* vectors = reinterpret_cast<const Vector*>(data);
  const auto count = bytes / static_cast<int64_t>(sizeof(Vector));
  Vector sums[kSums] = {};
  for (int64_t i = 0; i + kSums <= count; i += kSums) {
    for (int j = 0; j < kSums; ++j) sums[j] ^= vectors[i + j];
  }
  for (int j = 1; j < kSums; ++j) sums[0] ^= sums[j];
  return sums[0][0] ^ sums[0][1];
}

}  // namespace

int64_t BandwidthBufferBytes(int64_t available_memory) {
  return std::max<int64_t>(kTaskBytes, std::min(kBandwidthBytes, available_memory / 2)) /
         kTaskBytes * kTaskBytes;
}

template <typename Work>
void BandwidthProbe::ForEachPiece(const Work& work) {
  const auto tasks = static_cast<int>((bytes() + kTaskBytes - 1) / kTaskBytes);
  pool_.ParallelFor(tasks, [&](int task, int) {
    const int64_t first = task * kTaskBytes;
    work(buffer_.data() + first, std::min(kTaskBytes, bytes() - first));
  });
}

BandwidthProbe::BandwidthProbe(int64_t bytes, ThreadPool& pool) : buffer_(bytes), pool_(pool) {
  ForEachPiece(
      [](std::byte* data, int64_t size) { std::memset(data, 1, static_cast<size_t>(size)); });
}

double BandwidthProbe::Pass() {
  std::atomic<uint64_t> sum = 0;  // so that no read is left out
  const auto start = std::chrono::steady_clock::now();
  ForEachPiece([&sum](const std::byte* data, int64_t size) { sum ^= ReadAll(data, size); });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(bytes()) / seconds.count();
}

double BandwidthProbe::Best(const std::function<bool()>& cancelled) {
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    if (cancelled && cancelled()) break;
    best = std::max(best, Pass());
  }
  return best;
}

}  // namespace stocha
