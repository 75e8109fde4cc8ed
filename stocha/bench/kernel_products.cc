// bench_products [N]: how many products a second one core does with 4 to 256 vectors of N values at
// a time, as the engine asks for them: 256 rows a call. PackedKernels::dot, and, where the set has
// them, TileKernels' dot and axpy (--prefill fast); dot and axpy of bf16 and f32 rows. Medians of
// nine rounds, of 1e9 multiplications and additions a second.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/bench/random_rows.h"
#include "stocha/engine/matrix.h"
#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

constexpr int64_t kRows = 4096;
constexpr int64_t kCallRows = 256;
constexpr int kRounds = 9;
constexpr int64_t kMostVectors = kMostTileVectors;

struct Format {
  const char* name;
  PackedFormat format;
  PackedDot dot;
  const TileKernels::Packed* tiles;  // or null
};

// [kRows, n] of random weights.
Buffer<uint8_t> RandomMatrix(PackedFormat format, RowUse use, int64_t n) {
  const int64_t stride = RowBytes(format, n);
  Buffer<uint8_t> weights(kRows * stride);
  RandomBits bits(1);
  for (int64_t r = 0; r < kRows; ++r) {
    FillPackedRow(format, use, n, 0.02F, bits, weights.data() + r * stride);
  }
  return weights;
}

// Calls work(rows) for all rows, kCallRows at a time.
template <typename W>
double Rate(const Buffer<W>& weights, int64_t n, int64_t vectors,
            const std::function<void(const Rows<const W>&)>& work) {
  const int64_t stride = weights.size() / kRows;
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int64_t r = 0; r < kRows; r += kCallRows) {
      work({.data = weights.data() + r * stride, .stride = stride, .count = kCallRows});
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    rates.push_back(static_cast<double>(kRows * n * vectors) / seconds.count() / 1e9);
  }
  std::ranges::nth_element(rates, rates.begin() + kRounds / 2);
  return rates[kRounds / 2];
}

void Measure(const KernelTable& kernels, const Format& format, int64_t n) {
  const std::vector<float> x(static_cast<size_t>(kMostVectors * n), 0.5F);
  QuantizedBuffer quantized(kMostVectors, n);
  for (int64_t t = 0; t < kMostVectors; ++t) quantized.Set(kernels, t, x.data());
  std::vector<float> out(static_cast<size_t>(kMostVectors * kCallRows));
  const Buffer<uint8_t> weights = RandomMatrix(format.format, RowUse::kDot, n);
  fmt::print("{} dot:", format.name);
  for (const int64_t vectors : {4, 8, 16, 32, 64}) {
    const double rate = Rate<uint8_t>(weights, n, vectors, [&](const Rows<const uint8_t>& rows) {
      format.dot(rows, quantized.Vectors(vectors), out.data(), kCallRows);
    });
    fmt::print(" {} vectors {:.0f}", vectors, rate);
  }
  fmt::print("\n");
  if (format.tiles == nullptr) return;
  Buffer<uint16_t> packed(kMostVectors * n);
  for (int64_t group = 0; group < kMostVectors / 16; ++group) {
    kernels.tiles->pack({.data = x.data(), .stride = n, .count = kMostVectors}, n, group,
                        packed.data());
  }
  const Buffer<uint8_t> neurons = RandomMatrix(format.format, RowUse::kAxpy, n);
  const std::vector<float> scale(out.size(), 1e-3F);
  Buffer<float> y(kMostVectors * n);
  std::fill_n(y.data(), y.size(), 0.0F);
  for (const int64_t vectors : {32, 64, 128, 256}) {
    const double dot = Rate<uint8_t>(weights, n, vectors, [&](const Rows<const uint8_t>& rows) {
      format.tiles->dot(rows, {.values = packed.data(), .n = n, .count = vectors}, out.data(),
                        kCallRows);
    });
    const double axpy = Rate<uint8_t>(neurons, n, vectors, [&](const Rows<const uint8_t>& rows) {
      format.tiles->axpy(rows, scale.data(), kCallRows, vectors, n, y.data());
    });
    fmt::print("{} in bfloat16, {} vectors: dot {:.0f}, axpy {:.0f}\n", format.name, vectors, dot,
               axpy);
  }
}

template <typename W>
void MeasureFloats(const WeightKernels<W>& kernels, const char* name, int64_t n) {
  const std::vector<float> x(static_cast<size_t>(kMostVectors * n), 0.5F);
  std::vector<float> y(x.size());
  std::vector<float> out(static_cast<size_t>(kMostVectors * kCallRows));
  const std::vector<float> scale(out.size(), 1e-3F);
  Buffer<W> weights(kRows * n);
  std::fill_n(weights.data(), weights.size(), static_cast<W>(sizeof(W) == 2 ? 0x3C24 : 0.01));
  for (const int64_t vectors : {2, 3, 4, 8, 16, 64}) {
    const double dot = Rate<W>(weights, n, vectors, [&](const Rows<const W>& rows) {
      kernels.dot(rows, {.data = x.data(), .stride = n, .count = vectors}, n, out.data(),
                  kCallRows);
    });
    const double axpy = Rate<W>(weights, n, vectors, [&](const Rows<const W>& rows) {
      kernels.axpy(rows, scale.data(), kCallRows, {.data = y.data(), .stride = n, .count = vectors},
                   n);
    });
    fmt::print("{}, {} vectors: dot {:.0f}, axpy {:.0f}\n", name, vectors, dot, axpy);
  }
}

int Main(int argc, char** argv) {
  const int64_t n = argc > 1 ? std::atoll(argv[1]) : 2048;
  if (n < kBlock || n > (1 << 16) || n % kBlock != 0) {
    fmt::print(stderr, "usage: bench_products [N], N a multiple of {}\n", kBlock);
    return 2;
  }
  const KernelTable& kernels = Kernels(SelectedIsa());
  const TileKernels* tiles = kernels.tiles;
  fmt::print("one core, vectors of {}, {}, 1e9 products a second\n", n, IsaName(SelectedIsa()));
  Measure(kernels, {"q8_0", PackedFormat::kQ8_0, kernels.q8_0.dot, tiles ? &tiles->q8_0 : nullptr},
          n);
  Measure(kernels, {"q4_0", PackedFormat::kQ4_0, kernels.q4_0.dot, tiles ? &tiles->q4_0 : nullptr},
          n);
  Measure(kernels, {"q4_k", PackedFormat::kQ4_K, kernels.q4_k.dot, tiles ? &tiles->q4_k : nullptr},
          n);
  Measure(kernels, {"q6_k", PackedFormat::kQ6_K, kernels.q6_k, nullptr}, n);
  MeasureFloats(kernels.bf16, "bf16", n);
  MeasureFloats(kernels.f32, "f32", n);
  return 0;
}

}  // namespace
}  // namespace stocha

int main(int argc, char** argv) { return stocha::Main(argc, argv); }
