// Products in bfloat16 against plain sums over the rows' values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/kernels/amx_emulator.h"
#include "stocha/kernels/isa.h"
#include "stocha/kernels/kernels.h"
#include "stocha/kernels/packed.h"

namespace stocha {
namespace {

const TileKernels* Tiles() {
  for (const Isa isa : EmulatedIsas()) {
    if (Kernels(isa).tiles != nullptr) return Kernels(isa).tiles;
  }
  return nullptr;
}

std::vector<float> Normal(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  std::ranges::generate(values, [&] { return normal(generator); });
  return values;
}

// [rows, n] of a format, packed and as the values that they stand for.
struct PackedMatrix {
  PackedMatrix(PackedFormat format, RowUse use, int64_t rows, int64_t n)
      : stride(RowBytes(format, n)),
        bytes(static_cast<size_t>(rows * stride)),
        values(static_cast<size_t>(rows * n)) {
    const std::vector<float> normal = Normal(rows * n, 1);
    for (int64_t r = 0; r < rows; ++r) {
      QuantizeRow(format, use, normal.data() + r * n, n, bytes.data() + r * stride);
      UnpackRow(format, use, bytes.data() + r * stride, n, values.data() + r * n);
    }
  }
  Rows<const uint8_t> Of(int64_t count) const {
    return {.data = bytes.data(), .stride = stride, .count = count};
  }
  int64_t stride;
  std::vector<uint8_t> bytes;
  std::vector<float> values;
};

double Bound(int64_t n, double magnitudes) {
  return (std::ldexp(1, -7) + static_cast<double>(n) * std::ldexp(1, -23)) * magnitudes;
}

struct Vectors {
  Vectors(const TileKernels& tiles, int64_t vectors, int64_t size)
      : x(Normal(vectors * size, 2)), packed((vectors + 15) / 16 * 16 * size), n(size) {
    const Rows<const float> rows = {.data = x.data(), .stride = n, .count = vectors};
    for (int64_t group = 0; group * 16 < vectors; ++group) {
      tiles.pack(rows, n, group, packed.data());
    }
  }
  TileVectors First(int64_t count) const {
    return {.values = packed.data(), .n = n, .count = count};
  }
  std::vector<float> x;
  Buffer<uint16_t> packed;
  int64_t n;
};

struct Case {
  PackedFormat format;
  const char* name;
};
constexpr Case kFormats[] = {
    {PackedFormat::kQ8_0, "q8_0"}, {PackedFormat::kQ4_0, "q4_0"}, {PackedFormat::kQ4_K, "q4_k"}};

const TileKernels::Packed& Of(const TileKernels& tiles, PackedFormat format) {
  if (format == PackedFormat::kQ8_0) return tiles.q8_0;
  return format == PackedFormat::kQ4_0 ? tiles.q4_0 : tiles.q4_k;
}

class TileKernelsTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (Tiles() == nullptr) GTEST_SKIP() << "no AVX-512 with bfloat16, which the tiles need";
  }
};

TEST_P(TileKernelsTest, DotIsWithinItsBound) {
  for (const int64_t n : {32, 256, 544, 1056}) {
    const PackedMatrix matrix(GetParam().format, RowUse::kDot, 70, n);
    for (const int64_t vectors : {1, 37, 256}) {
      const Vectors x(*Tiles(), vectors, n);
      for (const int64_t rows : {1, 16, 33, 70}) {
        std::vector<float> out(static_cast<size_t>(vectors * 80), -7);
        Of(*Tiles(), GetParam().format).dot(matrix.Of(rows), x.First(vectors), out.data(), 80);
        for (int64_t t = 0; t < vectors; ++t) {
          for (int64_t r = 0; r < 80; ++r) {
            const float got = out[t * 80 + r];
            if (r >= rows) {
              ASSERT_EQ(got, -7) << "written behind the rows";
              continue;
            }
            double sum = 0;
            double magnitudes = 0;
            for (int64_t i = 0; i < n; ++i) {
              const double product = double{matrix.values[r * n + i]} * x.x[t * n + i];
              sum += product;
              magnitudes += std::abs(product);
            }
            ASSERT_NEAR(got, sum, Bound(n, magnitudes)) << "n " << n << ", row " << r;
          }
        }
      }
    }
  }
}

TEST_P(TileKernelsTest, AProductDependsOnItsOperandsAlone) {
  constexpr int64_t kSize = 544;
  const PackedMatrix matrix(GetParam().format, RowUse::kDot, 70, kSize);
  const Vectors x(*Tiles(), kMostTileVectors, kSize);
  const auto dot = Of(*Tiles(), GetParam().format).dot;
  std::vector<float> all(kMostTileVectors * 70);
  dot(matrix.Of(70), x.First(kMostTileVectors), all.data(), 70);
  std::vector<float> some(20 * 70);
  dot(matrix.Of(35), x.First(20), some.data(), 70);
  for (int64_t t = 0; t < 20; ++t) {
    for (int64_t r = 0; r < 35; ++r) ASSERT_EQ(some[t * 70 + r], all[t * 70 + r]);
  }
}

TEST_P(TileKernelsTest, AxpyIsWithinItsBound) {
  for (const int64_t n : {32, 256, 544}) {
    const PackedMatrix matrix(GetParam().format, RowUse::kAxpy, 256, n);
    for (const int64_t vectors : {1, 37, 256}) {
      for (const int64_t rows : {1, 33, 256}) {
        const std::vector<float> scale = Normal(vectors * 256, 3);
        Buffer<float> y((vectors + 15) / 16 * 16 * n);
        const std::vector<float> before = Normal(y.size(), 4);
        std::ranges::copy(before, y.data());
        Of(*Tiles(), GetParam().format)
            .axpy(matrix.Of(rows), scale.data(), 256, vectors, n, y.data());
        for (int64_t t = 0; t < y.size() / n; ++t) {
          for (int64_t i = 0; i < n; ++i) {
            const int64_t at = TileOffset(n, t, i / 16 * 16) + i % 16;
            double sum = before[at];
            double magnitudes = std::abs(sum);
            for (int64_t r = 0; t < vectors && r < rows; ++r) {
              const double product = double{matrix.values[r * n + i]} * scale[t * 256 + r];
              sum += product;
              magnitudes += std::abs(product);
            }
            ASSERT_NEAR(y.data()[at], sum, t < vectors ? Bound(rows, magnitudes) : 0)
                << "n " << n << ", rows " << rows << ", vector " << t << ", at " << i;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, TileKernelsTest, testing::ValuesIn(kFormats),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(TilePlanesTest, DotIsThatOfTheWholeRows) {
  if (Tiles() == nullptr) GTEST_SKIP() << "no AVX-512 with bfloat16, which the tiles need";
  constexpr int64_t kSize = 544;
  const PackedMatrix matrix(PackedFormat::kQ8_0, RowUse::kDot, 40, kSize);
  const int64_t high_stride = HighPlaneBytes(kSize);
  const int64_t low_stride = LowPlaneBytes(kSize);
  std::vector<uint8_t> high(static_cast<size_t>(40 * high_stride));
  std::vector<uint8_t> low(static_cast<size_t>(40 * low_stride));
  for (int64_t r = 0; r < 40; ++r) {
    SplitPlanes(matrix.bytes.data() + r * matrix.stride, kSize, high.data() + r * high_stride,
                low.data() + r * low_stride);
  }
  const Vectors x(*Tiles(), 37, kSize);
  std::vector<float> whole(37 * 40);
  std::vector<float> planes(37 * 40);
  Tiles()->q8_0.dot(matrix.Of(40), x.First(37), whole.data(), 40);
  Tiles()->planes({.data = high.data(), .stride = high_stride, .count = 40},
                  {.data = low.data(), .stride = low_stride, .count = 40}, x.First(37),
                  planes.data(), 40);
  EXPECT_EQ(whole, planes);
}

}  // namespace
}  // namespace stocha
