// bench_kernels [THREADS [N]]: how near the kernels of packed rows come to a plain read of the same
// memory, which is their roof. In turn: a plain read, products with rows one after the other, and
// the feed-forward kernel on one neuron in ten, picked at random. Medians of nine rounds, GB/s.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/bench/bandwidth.h"
#include "stocha/bench/random_rows.h"
#include "stocha/engine/matrix.h"
#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

constexpr int64_t kBytes = int64_t{1} << 30;  // far more than any cache
constexpr int64_t kTaskRows = 128;            // as long as the engine's tasks are
constexpr double kActive = 0.1;
constexpr int kRounds = 9;

// Times `work`; GB/s of `bytes`.
double Rate(int64_t bytes, const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(bytes) / seconds.count() / 1e9;
}

double Median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + kRounds / 2);
  return values[kRounds / 2];
}

// ffn: null for a format that has none.
void Measure(const char* name, PackedFormat format, PackedDot dot_kernel,
             decltype(PackedKernels::ffn) ffn_kernel, int64_t n, ThreadPool& pool,
             BandwidthProbe& probe) {
  const int64_t row_bytes = RowBytes(format, n);
  const int64_t neurons = kBytes / (2 * row_bytes);
  Buffer<uint8_t> weights(neurons * 2 * row_bytes);  // [neurons, up and down, row_bytes]
  const auto tasks = static_cast<int>(neurons / kTaskRows);
  pool.ParallelFor(tasks, [&](int task, int) {
    RandomBits bits(static_cast<uint64_t>(task));
    for (int64_t r = task * kTaskRows * 2; r < (task + 1) * kTaskRows * 2; ++r) {
      FillPackedRow(format, RowUse::kDot, n, 0.02F, bits, weights.data() + r * row_bytes);
    }
  });
  QuantizedBuffer buffer(1, n);
  buffer.Set(Kernels(SelectedIsa()), 0, std::vector<float>(static_cast<size_t>(n), 0.5F).data());
  const QuantizedRows x = buffer.Vectors(1);

  std::vector<std::vector<int32_t>> firing(static_cast<size_t>(tasks));
  std::mt19937 generator(1);
  int64_t fired = 0;
  for (int32_t i = 0; i < tasks * kTaskRows; ++i) {
    if (std::generate_canonical<double, 32>(generator) >= kActive) continue;
    firing[static_cast<size_t>(i / kTaskRows)].push_back(i);
    ++fired;
  }
  std::vector<std::vector<float>> sums(static_cast<size_t>(pool.num_threads()),
                                       std::vector<float>(static_cast<size_t>(n)));
  const std::vector<float> act(kTaskRows, 1e-3F);
  std::vector<double> plain;
  std::vector<double> dot;
  std::vector<double> ffn;
  for (int round = 0; round < kRounds; ++round) {
    plain.push_back(probe.Pass() / 1e9);
    dot.push_back(Rate(tasks * kTaskRows * 2 * row_bytes, [&] {
      pool.ParallelFor(tasks * 2, [&](int task, int) {
        std::array<float, kTaskRows> out;
        dot_kernel({.data = weights.data() + task * kTaskRows * row_bytes,
                    .stride = row_bytes,
                    .count = kTaskRows},
                   x, out.data(), kTaskRows);
      });
    }));
    if (ffn_kernel == nullptr) continue;
    ffn.push_back(Rate(fired * 2 * row_bytes, [&] {
      pool.ParallelFor(tasks, [&](int task, int thread) {
        Rows<const uint8_t> up = {.data = weights.data(),
                                  .stride = 2 * row_bytes,
                                  .index = firing[task].data(),
                                  .count = static_cast<int64_t>(firing[task].size())};
        Rows<const uint8_t> down = up;
        down.data += row_bytes;
        ffn_kernel(up, down, act.data(), x, sums[static_cast<size_t>(thread)].data());
      });
    }));
  }
  const double roof = Median(plain);
  fmt::print("{}: plain read {:.1f}, dot {:.1f} ({:.2f})", name, roof, Median(dot),
             Median(dot) / roof);
  if (!ffn.empty()) fmt::print(", sparse ffn {:.1f} ({:.2f})", Median(ffn), Median(ffn) / roof);
  fmt::print("\n");
}

int Main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int64_t n = argc > 2 ? std::atoll(argv[2]) : 2048;
  if (threads < 1 || threads > 1024 || n < kBlock || n > (1 << 20) || n % kBlock != 0) {
    fmt::print(stderr, "usage: bench_kernels [THREADS [N]], N a multiple of {}\n", kBlock);
    return 2;
  }
  ThreadPool pool(threads);
  BandwidthProbe probe(kBytes, pool);
  const KernelTable& kernels = Kernels(SelectedIsa());
  fmt::print("{} threads, rows of {}, {}, GB/s (share of a plain read)\n", threads, n,
             IsaName(SelectedIsa()));
  const auto measure = [&](const char* name, PackedFormat format, const PackedKernels& packed) {
    Measure(name, format, packed.dot, packed.ffn, n, pool, probe);
  };
  measure("q8_0", PackedFormat::kQ8_0, kernels.q8_0);
  measure("q4_0", PackedFormat::kQ4_0, kernels.q4_0);
  measure("q4_k", PackedFormat::kQ4_K, kernels.q4_k);
  Measure("q6_k", PackedFormat::kQ6_K, kernels.q6_k, nullptr, n, pool, probe);
  return 0;
}

}  // namespace
}  // namespace stocha

int main(int argc, char** argv) { return stocha::Main(argc, argv); }
