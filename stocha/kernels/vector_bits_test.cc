// The bits that the kernels give, recorded: one order of sums makes them the same in every vector
// set (in the scalar one too, where rows are packed), on every kind of machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/kernels/amx_emulator.h"
#include "stocha/kernels/isa.h"
#include "stocha/kernels/kernels.h"
#include "stocha/kernels/packed.h"
#include "stocha/kernels/packed_testing.h"

namespace stocha {
namespace {

constexpr int64_t kRows = 13;
constexpr int64_t kVectors = 19;  // more than kernels take together

// FNV-1a over the bits of floats.
class Digest {
 public:
  void Add(const std::vector<float>& values) {
    for (const float value : values) {
      hash_ = (hash_ ^ std::bit_cast<uint32_t>(value)) * 0x100000001B3U;
    }
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xCBF29CE484222325U;
};

// Made without rounding, so that they are the same whatever the machine: 24 bits in -8 .. 8.
std::vector<float> ExactFloats(int64_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = static_cast<float>(static_cast<int32_t>(generator()) >> 8) * 0x1p-20F;
  }
  return values;
}

template <typename W>
void AddProducts(const WeightKernels<W>& kernels, const std::vector<W>& weights,
                 const std::vector<float>& x, int64_t n, Digest* digest) {
  const Rows<const W> rows = {.data = weights.data(), .stride = n, .count = kRows};
  std::vector<float> products(kVectors * kRows);
  kernels.dot(rows, {.data = x.data(), .stride = n, .count = kVectors}, n, products.data(), kRows);
  digest->Add(products);
  std::vector<float> y = x;
  kernels.axpy(rows, products.data(), kRows, {.data = y.data(), .stride = n, .count = kVectors}, n);
  digest->Add(y);
}

TEST(VectorBitsTest, FloatKernels) {
  const std::vector<Isa> isas = AvailableIsas();
  for (size_t i = 1; i < isas.size(); ++i) {  // all but the scalar set
    const KernelTable& kernels = Kernels(isas[i]);
    Digest digest;
    for (const int64_t n : {1, 7, 16, 33, 100, 1031}) {
      const std::vector<float> weights = ExactFloats(kRows * n, 1);
      const std::vector<float> x = ExactFloats(kVectors * n, 2);
      std::vector<uint16_t> halves(weights.size());
      std::transform(weights.begin(), weights.end(), halves.begin(), F32ToBF16);
      AddProducts(kernels.f32, weights, x, n, &digest);
      AddProducts(kernels.bf16, halves, x, n, &digest);
      std::vector<float> y(x.size());
      const auto size = static_cast<int64_t>(x.size());
      kernels.silu(x.data(), size, y.data());
      digest.Add(y);
      digest.Add({kernels.exp_sum(x.data(), 1.5F, size, y.data())});
      digest.Add(y);
      kernels.rms_norm(x.data(), x.data(), 1e-5F, size, y.data());
      digest.Add(y);
    }
    EXPECT_EQ(digest.hash(), 16694902682116539242U) << IsaName(isas[i]);
  }
}

// Rows of any bytes, but for the f16 numbers that end each step: they are in 2^-8 .. 2^-4.
std::vector<uint8_t> ExactRows(PackedFormat format, int64_t n) {
  std::mt19937 generator(3);
  std::vector<uint8_t> rows(static_cast<size_t>(kRows * RowBytes(format, n)));
  for (uint8_t& byte : rows) byte = static_cast<uint8_t>(generator());
  uint8_t* end = rows.data();
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t step = 0; step * kStepValues < n; ++step) {
      const int64_t blocks = StepBlocks(n, step);
      end += StepBytes(format, blocks);
      const int64_t supers = SuperBlocks(blocks * kBlock);
      int64_t halves = blocks;
      if (format == PackedFormat::kQ4_K) halves = 2 * supers;
      if (format == PackedFormat::kQ6_K) halves = supers;
      for (int64_t i = 0; i < halves; ++i) {
        uint8_t& high_byte = end[-1 - 2 * i];
        high_byte = static_cast<uint8_t>(0x1C + high_byte % 16);
      }
    }
  }
  return rows;
}

TEST(VectorBitsTest, PackedKernels) {
  for (const Isa isa : EmulatedIsas()) {
    const KernelTable& kernels = Kernels(isa);
    Digest digest;
    for (const int64_t n : {32, 160, 512, 1376}) {
      const std::vector<float> x = ExactFloats(kVectors * n, 2);
      const QuantizedInputs inputs(kernels, x, n, kVectors);
      digest.Add(inputs.scale);
      digest.Add(inputs.energy);
      const QuantizedRows quantized = inputs.Rows(kVectors);
      std::vector<float> products(kVectors * kRows);
      const auto add_products = [&](PackedDot dot, const Rows<const uint8_t>& rows) {
        dot(rows, quantized, products.data(), kRows);
        digest.Add(products);
      };
      const auto add = [&](const PackedKernels& packed, PackedFormat format) {
        const std::vector<uint8_t> bytes = ExactRows(format, n);
        const Rows<const uint8_t> rows = {
            .data = bytes.data(), .stride = RowBytes(format, n), .count = kRows};
        add_products(packed.dot, rows);
        std::vector<float> y = x;
        packed.axpy(rows, products.data(), kRows,
                    {.data = y.data(), .stride = n, .count = kVectors}, n);
        digest.Add(y);
        packed.ffn(rows, rows, x.data(), quantized, y.data());
        digest.Add(y);
      };
      add(kernels.q8_0, PackedFormat::kQ8_0);
      add(kernels.q4_0, PackedFormat::kQ4_0);
      add(kernels.q4_k, PackedFormat::kQ4_K);
      const std::vector<uint8_t> bytes = ExactRows(PackedFormat::kQ6_K, n);
      add_products(
          kernels.q6_k,
          {.data = bytes.data(), .stride = RowBytes(PackedFormat::kQ6_K, n), .count = kRows});
    }
    EXPECT_EQ(digest.hash(), 16344392836451282826U) << IsaName(isa);
  }
}

}  // namespace
}  // namespace stocha
