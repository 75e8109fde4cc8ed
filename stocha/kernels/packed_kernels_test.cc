// Every set gives the bits of the scalar one, at every size, tile and division.
#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "stocha/kernels/amx_emulator.h"
#include "stocha/kernels/isa.h"
#include "stocha/kernels/kernels.h"
#include "stocha/kernels/packed.h"
#include "stocha/kernels/packed_testing.h"

namespace stocha {
namespace {

constexpr int64_t kSizes[] = {32, 64, 96, 160, 256, 512, 544, 576, 768, 1280, 1536, 2080};
constexpr PackedFormat kFormats[] = {PackedFormat::kQ8_0, PackedFormat::kQ4_0, PackedFormat::kQ4_K};
constexpr PackedFormat kDotFormats[] = {PackedFormat::kQ8_0, PackedFormat::kQ4_0,
                                        PackedFormat::kQ4_K, PackedFormat::kQ6_K};

const PackedKernels& Select(const KernelTable& table, PackedFormat format) {
  switch (format) {
    case PackedFormat::kQ8_0:
      return table.q8_0;
    case PackedFormat::kQ4_0:
      return table.q4_0;
    default:
      return table.q4_k;
  }
}

PackedDot SelectDot(const KernelTable& table, PackedFormat format) {
  return format == PackedFormat::kQ6_K ? table.q6_k : Select(table, format).dot;
}

std::vector<float> RandomFloats(int64_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

using Inputs = QuantizedInputs;

// Random rows of a format, picked in an odd order; and vectors.
struct Operands {
  static constexpr int64_t kAllRows = 40;
  static constexpr int64_t kVectors = 69;  // more than kernels take together

  Operands(PackedFormat format, RowUse use, int64_t size)
      : n(size), stride(RowBytes(format, n)), x(RandomFloats(kVectors * n, 2)) {
    weights.resize(static_cast<size_t>(kAllRows * stride));
    for (int64_t r = 0; r < kAllRows; ++r) {
      const std::vector<float> values = RandomFloats(n, static_cast<uint32_t>(100 + r));
      QuantizeRow(format, use, values.data(), n, weights.data() + r * stride);
    }
  }
  Rows<const uint8_t> Picked() const {
    return {.data = weights.data(),
            .stride = stride,
            .index = rows.data(),
            .count = static_cast<int64_t>(rows.size())};
  }

  int64_t n;
  int64_t stride;
  std::vector<uint8_t> weights;
  std::vector<float> x;  // [kVectors, n]
  std::vector<int32_t> rows = {3,  0, 7, 1,  21, 20, 19, 4,  5,  6,
                               39, 2, 9, 11, 10, 12, 13, 30, 31, 8};
};

std::string Name(Isa isa, PackedFormat format, int64_t n) {
  return std::string(IsaName(isa)) + " format " + std::to_string(static_cast<int>(format)) + " n " +
         std::to_string(n);
}

TEST(PackedKernelsTest, QuantizeGivesTheSameBitsInEverySet) {
  for (const int64_t n : kSizes) {
    std::vector<float> x = RandomFloats(n, 1);
    x[1] = 0;
    x[n - 1] = -1000;
    std::fill_n(x.begin(), 32, 0.0F);
    const Inputs expected(Kernels(Isa::kScalar), x, n, 1);
    for (const Isa isa : EmulatedIsas()) {
      const Inputs got(Kernels(isa), x, n, 1);
      EXPECT_EQ(got.values, expected.values) << IsaName(isa) << " n " << n;
      EXPECT_EQ(got.scale, expected.scale);
      EXPECT_EQ(got.sum, expected.sum);
      EXPECT_EQ(got.first_sum, expected.first_sum);
      EXPECT_EQ(got.energy, expected.energy);
    }
  }
}

TEST(PackedKernelsTest, QuantizeMarksWhatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    for (const Isa isa : EmulatedIsas()) {
      std::vector<float> x(64, 1.0F);
      x[40] = bad;
      const Inputs got(Kernels(isa), x, 64, 1);
      EXPECT_EQ(got.scale[0], 1.0F / 127) << IsaName(isa);
      EXPECT_TRUE(std::isnan(got.scale[1])) << IsaName(isa);
    }
  }
}

TEST(PackedKernelsTest, QuantizedVectorsAreNearTheirValues) {
  const int64_t n = 288;
  const std::vector<float> x = RandomFloats(n, 4);
  const Inputs got(Kernels(AvailableIsas().back()), x, n, 1);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = i / 128 * 128 + i % 32 / 16 * 64 + i % 128 / 32 * 16 + i % 16;
    EXPECT_NEAR(got.values[at] * got.scale[i / 32], x[i], got.scale[i / 32] * 0.501) << i;
  }
}

TEST(PackedKernelsTest, DotGivesTheSameBitsInEverySetAndTile) {
  for (const PackedFormat format : kDotFormats) {
    for (const int64_t n : kSizes) {
      const Operands o(format, RowUse::kDot, n);
      const Inputs x(Kernels(Isa::kScalar), o.x, n, Operands::kVectors);
      const int64_t rows = o.Picked().count;
      std::vector<float> expected(static_cast<size_t>(Operands::kVectors * (rows + 1)), -7);
      SelectDot(Kernels(Isa::kScalar), format)(o.Picked(), x.Rows(Operands::kVectors),
                                               expected.data(), rows + 1);
      for (const Isa isa : EmulatedIsas()) {
        for (const int64_t vectors :
             std::initializer_list<int64_t>{1, 3, 5, 8, Operands::kVectors}) {
          std::vector<float> got(expected.size(), -7);
          SelectDot(Kernels(isa), format)(o.Picked(), x.Rows(vectors), got.data(), rows + 1);
          const size_t used = static_cast<size_t>(vectors * (rows + 1));
          EXPECT_TRUE(std::equal(got.begin(), got.begin() + used, expected.begin()))
              << Name(isa, format, n) << " vectors " << vectors;
        }
        // Vectors picked by index.
        const std::vector<int32_t> index = {5, 2, 30, 7, 11};
        std::vector<float> got(5);
        SelectDot(Kernels(isa), format)({.data = o.weights.data() + 7 * o.stride, .count = 1},
                                        x.Rows(5, index.data()), got.data(), 1);
        for (size_t i = 0; i < index.size(); ++i) {
          EXPECT_EQ(got[i], expected[index[i] * (rows + 1) + 2]) << Name(isa, format, n);
        }
      }
    }
  }
}

// More rows, vectors and steps than any set takes in one go, and vectors picked by index.
TEST(PackedKernelsTest, DotOfManyRowsAndVectorsGivesTheSameBitsInEverySet) {
  constexpr int64_t n = 9 * 512 + 96;
  constexpr int64_t kRows = 139;
  constexpr int64_t kVectors = 17;
  std::vector<int32_t> rows(kRows);
  for (int64_t r = 0; r < kRows; ++r) rows[r] = static_cast<int32_t>(r * 7 % Operands::kAllRows);
  std::vector<int32_t> index(kVectors);
  for (int64_t t = 0; t < kVectors; ++t) {
    index[t] = static_cast<int32_t>(t * 5 % Operands::kVectors);
  }
  for (const PackedFormat format : kDotFormats) {
    const Operands o(format, RowUse::kDot, n);
    const Inputs x(Kernels(Isa::kScalar), o.x, n, Operands::kVectors);
    const auto products = [&](Isa isa, int64_t vectors) {
      std::vector<float> out(static_cast<size_t>(kRows * vectors));
      SelectDot(Kernels(isa), format)(
          {.data = o.weights.data(), .stride = o.stride, .index = rows.data(), .count = kRows},
          x.Rows(vectors, index.data()), out.data(), kRows);
      return out;
    };
    for (const int64_t vectors : {int64_t{8}, kVectors}) {
      const std::vector<float> expected = products(Isa::kScalar, vectors);
      for (const Isa isa : EmulatedIsas()) {
        EXPECT_TRUE(products(isa, vectors) == expected)
            << Name(isa, format, n) << " vectors " << vectors;
      }
    }
  }
}

// Tiles are a thread's own: with more threads than processors, each must find its own again when it
// runs on after another.
TEST(PackedKernelsTest, DotGivesTheSameBitsInManyThreadsAtOnce) {
  constexpr int64_t n = 1536;
  constexpr int kThreads = 8;
  constexpr int kTimes = 100;
  const Operands o(PackedFormat::kQ8_0, RowUse::kDot, n);
  const Inputs x(Kernels(Isa::kScalar), o.x, n, Operands::kVectors);
  const int64_t rows = o.Picked().count;
  const auto products = [&](Isa isa, int64_t first) {  // of 16 vectors: other sums in each thread
    std::vector<int32_t> index(16);
    for (size_t i = 0; i < index.size(); ++i) index[i] = static_cast<int32_t>(first + 2 * i);
    std::vector<float> out(index.size() * static_cast<size_t>(rows));
    Kernels(isa).q8_0.dot(o.Picked(), x.Rows(16, index.data()), out.data(), rows);
    return out;
  };
  const Isa isa = EmulatedIsas().back();
  int wrong[kThreads] = {};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::vector<float> expected = products(Isa::kScalar, t);
      for (int i = 0; i < kTimes; ++i) wrong[t] += products(isa, t) == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) EXPECT_EQ(wrong[t], 0) << IsaName(isa) << " thread " << t;
}

TEST(PackedKernelsTest, DotIsTheProductOfTheValues) {
  for (const PackedFormat format : kDotFormats) {
    const int64_t n = 1536;
    const Operands o(format, RowUse::kDot, n);
    const Inputs x(Kernels(Isa::kScalar), o.x, n, 1);
    float got = 0;
    SelectDot(Kernels(AvailableIsas().back()), format)({.data = o.weights.data(), .count = 1},
                                                       x.Rows(1), &got, 1);
    std::vector<float> weights(static_cast<size_t>(n));
    UnpackRow(format, RowUse::kDot, o.weights.data(), n, weights.data());
    double expected = 0;
    double power = 0;
    for (int64_t i = 0; i < n; ++i) {
      expected += double{weights[i]} * o.x[i];
      power += std::pow(double{weights[i]} * o.x[i], 2);
    }
    EXPECT_NEAR(got, expected, 0.03 * std::sqrt(power));
  }
}

TEST(PackedKernelsTest, AxpyGivesTheSameBitsInEverySetAndTile) {
  for (const PackedFormat format : kFormats) {
    for (const int64_t n : kSizes) {
      const Operands o(format, RowUse::kAxpy, n);
      const int64_t rows = o.Picked().count;
      const std::vector<float> scale = RandomFloats(Operands::kVectors * rows, 6);
      const std::vector<int32_t> index = {4, 0, 1, 9, 8, 12, 30, 22, 3, 5, 36, 20, 21};
      for (const int64_t vectors : {1, 2, 5, 13}) {
        const auto run = [&](Isa isa) {
          std::vector<float> y = o.x;
          Select(Kernels(isa), format)
              .axpy(o.Picked(), scale.data(), rows,
                    {.data = y.data(), .stride = n, .index = index.data(), .count = vectors}, n);
          return y;
        };
        const std::vector<float> expected = run(Isa::kScalar);
        EXPECT_NE(expected, o.x);
        for (const Isa isa : EmulatedIsas()) {
          EXPECT_EQ(run(isa), expected) << Name(isa, format, n) << " vectors " << vectors;
        }
      }
    }
  }
}

TEST(PackedKernelsTest, AxpyAddsTheValues) {
  for (const PackedFormat format : kFormats) {
    const int64_t n = 512;
    const Operands o(format, RowUse::kAxpy, n);
    std::vector<float> y(static_cast<size_t>(n), 1.0F);
    const float factor = 0.7F;
    Select(Kernels(AvailableIsas().back()), format)
        .axpy({.data = o.weights.data(), .count = 1}, &factor, 1, {.data = y.data(), .count = 1},
              n);
    std::vector<float> values(static_cast<size_t>(n));
    UnpackRow(format, RowUse::kAxpy, o.weights.data(), n, values.data());
    for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], 1 + factor * values[i], 1e-6) << i;
  }
}

TEST(PackedKernelsTest, FfnIsDotThenAxpy) {
  for (const PackedFormat format : kFormats) {
    for (const int64_t n : kSizes) {
      const Operands up(format, RowUse::kDot, n);
      const Operands down(format, RowUse::kAxpy, n);
      const Inputs x(Kernels(Isa::kScalar), up.x, n, 1);
      const int64_t rows = up.Picked().count;
      const std::vector<float> act = RandomFloats(rows, 8);
      for (const Isa isa : EmulatedIsas()) {
        const PackedKernels& kernels = Select(Kernels(isa), format);
        std::vector<float> expected = up.x;
        std::vector<float> hidden(static_cast<size_t>(rows));
        kernels.dot(up.Picked(), x.Rows(1), hidden.data(), rows);
        for (int64_t r = 0; r < rows; ++r) hidden[r] = act[r] * hidden[r];
        kernels.axpy(down.Picked(), hidden.data(), rows, {.data = expected.data(), .count = 1}, n);
        std::vector<float> got = up.x;
        kernels.ffn(up.Picked(), down.Picked(), act.data(), x.Rows(1), got.data());
        EXPECT_EQ(got, expected) << Name(isa, format, n);
      }
    }
  }
}

// Rows of q8_0 and the same in planes.
struct Planes {
  explicit Planes(const Operands& o) {
    const int64_t n = o.n;
    high.resize(static_cast<size_t>(Operands::kAllRows * HighPlaneBytes(n)));
    low.resize(static_cast<size_t>(Operands::kAllRows * LowPlaneBytes(n)));
    for (int64_t r = 0; r < Operands::kAllRows; ++r) {
      SplitPlanes(o.weights.data() + r * o.stride, n, high.data() + r * HighPlaneBytes(n),
                  low.data() + r * LowPlaneBytes(n));
    }
  }
  std::vector<uint8_t> high;
  std::vector<uint8_t> low;
};

TEST(PackedKernelsTest, PlanesGiveTheBitsOfTheirRow) {
  for (const int64_t n : kSizes) {
    const Operands o(PackedFormat::kQ8_0, RowUse::kDot, n);
    const Planes planes(o);
    const Inputs x(Kernels(Isa::kScalar), o.x, n, Operands::kVectors);
    const Rows<const uint8_t> picked = o.Picked();
    for (const Isa isa : EmulatedIsas()) {
      for (const int64_t vectors : {1, 69}) {
        std::vector<float> expected(static_cast<size_t>(vectors * picked.count));
        std::vector<float> got(expected.size());
        Kernels(isa).q8_0.dot(picked, x.Rows(vectors), expected.data(), picked.count);
        Kernels(isa).planes.dot({.data = planes.high.data(),
                                 .stride = HighPlaneBytes(n),
                                 .index = picked.index,
                                 .count = picked.count},
                                {.data = planes.low.data(),
                                 .stride = LowPlaneBytes(n),
                                 .index = picked.index,
                                 .count = picked.count},
                                x.Rows(vectors), got.data(), picked.count);
        EXPECT_EQ(got, expected) << IsaName(isa) << " n " << n;
      }
    }
  }
}

TEST(PackedKernelsTest, ScreenKnowsHowFarItMayBeOff) {
  const int64_t n = 1536;
  const Operands o(PackedFormat::kQ8_0, RowUse::kDot, n);
  const Planes planes(o);
  const Inputs x(Kernels(Isa::kScalar), o.x, n, Operands::kVectors);
  const Rows<const uint8_t> high = {
      .data = planes.high.data(), .stride = HighPlaneBytes(n), .count = Operands::kAllRows};
  const size_t size = static_cast<size_t>(Operands::kVectors * Operands::kAllRows);
  std::vector<float> exact(size);
  Kernels(Isa::kScalar)
      .q8_0.dot({.data = o.weights.data(), .stride = o.stride, .count = Operands::kAllRows},
                x.Rows(Operands::kVectors), exact.data(), Operands::kAllRows);
  std::vector<float> expected;
  for (const Isa isa : EmulatedIsas()) {
    std::vector<float> estimate(size);
    std::vector<float> deviation(size);
    Kernels(isa).planes.screen(high, x.Rows(Operands::kVectors), estimate.data(), deviation.data(),
                               Operands::kAllRows);
    double squares = 0;
    int64_t beyond3 = 0;
    for (size_t i = 0; i < size; ++i) {
      const double off = (estimate[i] - exact[i]) / deviation[i];
      squares += off * off;
      beyond3 += std::abs(off) > 3 ? 1 : 0;
    }
    EXPECT_NEAR(squares / static_cast<double>(size), 1, 0.1) << IsaName(isa);
    EXPECT_LT(beyond3, 15) << IsaName(isa);  // of 1480, where a normal error has 4
    if (expected.empty()) expected = estimate;
    EXPECT_EQ(estimate, expected) << IsaName(isa);
  }
}

}  // namespace
}  // namespace stocha
