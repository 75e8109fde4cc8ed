#include "stocha/kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

constexpr double kUlp = 1.0 / (1 << 24);  // half an ulp of 1: the error of one rounding
constexpr double kTiny = 0x1p-149;
constexpr int64_t kSizes[] = {1, 2, 7, 15, 16, 17, 31, 33, 47, 64, 100, 255, 513, 1031};

// The vector sets; where a machine has none, the tests below have nothing to compare.
std::vector<Isa> VectorIsas() {
  std::vector<Isa> isas = AvailableIsas();
  isas.erase(isas.begin());
  return isas;
}

std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

template <typename W>
W FromFloat(float value) {
  if constexpr (std::is_same_v<W, float>) {
    return value;
  } else {
    return F32ToBF16(value);
  }
}
float ToFloat(float value) { return value; }
float ToFloat(uint16_t bits) { return BF16ToF32(bits); }

template <typename W>
const WeightKernels<W>& Select(const KernelTable& table) {
  if constexpr (std::is_same_v<W, float>) {
    return table.f32;
  } else {
    return table.bf16;
  }
}

// Rows of random weights at an odd stride, picked in an odd order; tokens likewise.
template <typename W>
struct Operands {
  static constexpr int64_t kAllRows = 23;
  static constexpr int64_t kAllTokens = 15;

  explicit Operands(int64_t size) : n(size), stride(size + 3) {
    for (const float value : RandomFloats(kAllRows * stride, 1)) {
      weights.push_back(FromFloat<W>(value));
    }
    x = RandomFloats(kAllTokens * stride, 2);
    scale = RandomFloats(kAllTokens * kAllRows, 3);
  }
  // The last elements of each buffer belong to no row, so they start one element in.
  Rows<const W> Weights() const {
    return {.data = weights.data() + 1,
            .stride = stride,
            .index = rows.data(),
            .count = static_cast<int64_t>(rows.size())};
  }
  Rows<const float> X() const {
    return {.data = x.data() + 1,
            .stride = stride,
            .index = tokens.data(),
            .count = static_cast<int64_t>(tokens.size())};
  }
  const W* Row(int64_t r) const { return weights.data() + 1 + rows[r] * stride; }
  const float* Token(int64_t t) const { return x.data() + 1 + tokens[t] * stride; }

  int64_t n;
  int64_t stride;
  std::vector<W> weights;    // [kAllRows, stride]
  std::vector<float> x;      // [kAllTokens, stride]
  std::vector<float> scale;  // [kAllTokens, kAllRows]
  std::vector<int32_t> rows = {3, 0, 7, 1, 21, 20, 19, 4, 5, 6, 11, 2, 9};
  std::vector<int32_t> tokens = {2, 0, 1, 13, 5, 8, 7, 4, 3};
};

template <typename W>
class WeightKernelsTest : public testing::Test {};
using WeightTypes = testing::Types<float, uint16_t>;
TYPED_TEST_SUITE(WeightKernelsTest, WeightTypes);

TYPED_TEST(WeightKernelsTest, DotIsWithinTheBoundOfScalar) {
  for (const Isa isa : VectorIsas()) {
    for (const int64_t n : kSizes) {
      const Operands<TypeParam> o(n);
      const int64_t stride = o.X().count + 7;
      std::vector<float> expected(o.X().count * stride);
      std::vector<float> got(o.X().count * stride);
      Select<TypeParam>(Kernels(Isa::kScalar)).dot(o.Weights(), o.X(), n, expected.data(), stride);
      Select<TypeParam>(Kernels(isa)).dot(o.Weights(), o.X(), n, got.data(), stride);
      for (int64_t t = 0; t < o.X().count; ++t) {
        for (int64_t r = 0; r < o.Weights().count; ++r) {
          double magnitude = 0;
          for (int64_t i = 0; i < n; ++i) {
            magnitude += std::abs(double{ToFloat(o.Row(r)[i])} * o.Token(t)[i]);
          }
          EXPECT_NEAR(got[t * stride + r], expected[t * stride + r],
                      (n / 16.0 + 6) * kUlp * magnitude)
              << IsaName(isa) << " n " << n << " token " << t << " row " << r;
        }
      }
    }
  }
}

// Every row and token alone gives what all of them together give, and nothing else is written.
TYPED_TEST(WeightKernelsTest, DotDoesNotDependOnTheTile) {
  for (const Isa isa : AvailableIsas()) {
    const auto& kernels = Select<TypeParam>(Kernels(isa));
    for (const int64_t n : kSizes) {
      const Operands<TypeParam> o(n);
      const int64_t rows = o.Weights().count;
      std::vector<float> together((o.X().count + 1) * (rows + 1), -7);
      kernels.dot(o.Weights(), o.X(), n, together.data(), rows + 1);
      for (int64_t t = 0; t < o.X().count; ++t) {
        EXPECT_EQ(together[t * (rows + 1) + rows], -7);
        for (int64_t r = 0; r < rows; ++r) {
          float alone = 0;
          kernels.dot({.data = o.Row(r), .count = 1}, {.data = o.Token(t), .count = 1}, n, &alone,
                      1);
          EXPECT_EQ(alone, together[t * (rows + 1) + r]) << IsaName(isa) << " n " << n;
        }
      }
    }
  }
}

TYPED_TEST(WeightKernelsTest, AxpyIsWithinTheBoundOfScalar) {
  for (const Isa isa : VectorIsas()) {
    for (const int64_t n : kSizes) {
      const Operands<TypeParam> o(n);
      std::vector<float> expected = o.x;
      std::vector<float> got = o.x;
      for (auto [y, kind] : {std::pair(&expected, Isa::kScalar), std::pair(&got, isa)}) {
        Rows<float> tokens = {.data = y->data() + 1,
                              .stride = o.stride,
                              .index = o.tokens.data(),
                              .count = o.X().count};
        Select<TypeParam>(Kernels(kind)).axpy(o.Weights(), o.scale.data(), o.kAllRows, tokens, n);
      }
      std::vector<double> bound(o.x.size(), 0);  // 0 where nothing may be written
      for (int64_t t = 0; t < o.X().count; ++t) {
        for (int64_t i = 0; i < n; ++i) {
          double magnitude = std::abs(o.Token(t)[i]);
          for (int64_t r = 0; r < o.Weights().count; ++r) {
            magnitude += std::abs(double{o.scale[t * o.kAllRows + r]} * ToFloat(o.Row(r)[i]));
          }
          bound[1 + o.tokens[t] * o.stride + i] = 3.0 * o.Weights().count * kUlp * magnitude;
        }
      }
      for (size_t i = 0; i < bound.size(); ++i) {
        EXPECT_NEAR(got[i], expected[i], bound[i]) << IsaName(isa) << " n " << n << " at " << i;
      }
    }
  }
}

// A row at a time and a token at a time, in the same order of rows, gives the same bits.
TYPED_TEST(WeightKernelsTest, AxpyDoesNotDependOnTheTile) {
  for (const Isa isa : AvailableIsas()) {
    const auto& kernels = Select<TypeParam>(Kernels(isa));
    for (const int64_t n : kSizes) {
      const Operands<TypeParam> o(n);
      std::vector<float> together = o.x;
      kernels.axpy(o.Weights(), o.scale.data(), o.kAllRows,
                   {.data = together.data() + 1,
                    .stride = o.stride,
                    .index = o.tokens.data(),
                    .count = o.X().count},
                   n);
      std::vector<float> alone = o.x;
      for (int64_t t = 0; t < o.X().count; ++t) {
        for (int64_t r = 0; r < o.Weights().count; ++r) {
          kernels.axpy({.data = o.Row(r), .count = 1}, &o.scale[t * o.kAllRows + r], 1,
                       {.data = alone.data() + 1 + o.tokens[t] * o.stride, .count = 1}, n);
        }
      }
      EXPECT_EQ(together, alone) << IsaName(isa) << " n " << n;
    }
  }
}

// So many tokens and rows that kernels share panels of rows, in more than one part.
TYPED_TEST(WeightKernelsTest, AxpyOfManyTokensIsThatOfEach) {
  constexpr int64_t kRows = 300;
  constexpr int64_t kTokens = 45;
  const std::vector<float> scale = RandomFloats(kTokens * kRows, 6);
  for (const Isa isa : AvailableIsas()) {
    const auto& kernels = Select<TypeParam>(Kernels(isa));
    for (const int64_t n : {1, 16, 37}) {
      std::vector<TypeParam> weights;
      for (const float value : RandomFloats(kRows * n, 7)) {
        weights.push_back(FromFloat<TypeParam>(value));
      }
      const Rows<const TypeParam> rows = {.data = weights.data(), .stride = n, .count = kRows};
      std::vector<float> together = RandomFloats(kTokens * n, 8);
      std::vector<float> alone = together;
      kernels.axpy(rows, scale.data(), kRows,
                   {.data = together.data(), .stride = n, .count = kTokens}, n);
      for (int64_t t = 0; t < kTokens; ++t) {
        kernels.axpy(rows, &scale[t * kRows], kRows, {.data = &alone[t * n], .count = 1}, n);
      }
      EXPECT_EQ(together, alone) << IsaName(isa) << " n " << n;
    }
  }
}

// A neuron that does not fire adds nothing: what makes dense and sparse agree.
TYPED_TEST(WeightKernelsTest, AxpyWithScaleZeroChangesNothing) {
  for (const Isa isa : AvailableIsas()) {
    const Operands<TypeParam> o(100);
    std::vector<float> y = o.x;
    const std::vector<float> zeros(o.scale.size(), 0);
    Select<TypeParam>(Kernels(isa))
        .axpy(o.Weights(), zeros.data(), o.kAllRows,
              {.data = y.data() + 1, .stride = o.stride, .count = 5}, 100);
    EXPECT_EQ(y, o.x) << IsaName(isa);
  }
}

TEST(KernelsTest, RmsNormIsWithinTheBoundOfScalar) {
  for (const Isa isa : VectorIsas()) {
    for (const int64_t n : kSizes) {
      const std::vector<float> x = RandomFloats(n, 4, 30);
      const std::vector<float> weight = RandomFloats(n, 5);
      std::vector<float> expected(n + 1, -7);
      std::vector<float> got(n + 1, -7);
      Kernels(Isa::kScalar).rms_norm(x.data(), weight.data(), 1e-5f, n, expected.data());
      Kernels(isa).rms_norm(x.data(), weight.data(), 1e-5f, n, got.data());
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_NEAR(got[i], expected[i], (n / 16.0 + 10) * kUlp * std::abs(expected[i]))
            << IsaName(isa) << " n " << n;
      }
      EXPECT_EQ(got[n], -7);
    }
  }
}

TEST(KernelsTest, MaxFindsTheLargestAnywhere) {
  for (const Isa isa : AvailableIsas()) {
    for (const int64_t n : kSizes) {
      for (int64_t at = 0; at < n; at += 1 + n / 9) {
        std::vector<float> x = RandomFloats(n, 6);
        x[at] = 99;
        EXPECT_EQ(Kernels(isa).max(x.data(), n), 99) << IsaName(isa) << " n " << n << " at " << at;
      }
    }
  }
}

TEST(KernelsTest, ExpSumIsWithinTheBoundOfScalar) {
  for (const Isa isa : VectorIsas()) {
    for (const int64_t n : kSizes) {
      std::vector<float> x = RandomFloats(n, 7, 30);
      const float shift = Kernels(isa).max(x.data(), n) - 2;
      std::vector<float> expected(n + 1, -7);
      std::vector<float> got(n + 1, -7);
      const float expected_sum = Kernels(Isa::kScalar).exp_sum(x.data(), shift, n, expected.data());
      const float sum = Kernels(isa).exp_sum(x.data(), shift, n, got.data());
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_NEAR(got[i], expected[i], 3 * kUlp * expected[i] + kTiny)
            << IsaName(isa) << " exp of " << x[i] - shift;
      }
      EXPECT_NEAR(sum, expected_sum, (n / 16.0 + 9) * kUlp * expected_sum) << IsaName(isa);
      EXPECT_EQ(got[n], -7);
    }
  }
}

// From where exp is 0 to where it is infinite, in steps that meet no multiple of ln 2.
TEST(KernelsTest, ExpIsAccurateOverItsWholeRange) {
  std::vector<float> x;
  for (float value = -120; value < 95; value += 0.00731f) x.push_back(value);
  const auto n = static_cast<int64_t>(x.size());
  std::vector<float> expected(n);
  std::vector<float> got(n);
  Kernels(Isa::kScalar).exp_sum(x.data(), 0, n, expected.data());
  EXPECT_EQ(expected.front(), 0);
  EXPECT_EQ(expected.back(), std::numeric_limits<float>::infinity());
  for (const Isa isa : VectorIsas()) {
    Kernels(isa).exp_sum(x.data(), 0, n, got.data());
    for (int64_t i = 0; i < n; ++i) {
      if (std::isinf(expected[i])) {
        EXPECT_EQ(got[i], expected[i]) << IsaName(isa) << " exp of " << x[i];
      } else {
        EXPECT_NEAR(got[i], expected[i], 3 * kUlp * expected[i] + kTiny)
            << IsaName(isa) << " exp of " << x[i];
      }
    }
  }
}

TEST(KernelsTest, SiluIsAccurateOverItsWholeRange) {
  std::vector<float> x = {0, -0.0f, 1e-30f, -1e-30f, 3e38f};
  for (float value = -110; value < 110; value += 0.00731f) x.push_back(value);
  const auto n = static_cast<int64_t>(x.size());
  std::vector<float> expected(n);
  std::vector<float> got(n + 1, -7);
  Kernels(Isa::kScalar).silu(x.data(), n, expected.data());
  for (const Isa isa : VectorIsas()) {
    Kernels(isa).silu(x.data(), n, got.data());
    EXPECT_EQ(got[n], -7);
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_NEAR(got[i], expected[i],
                  8 * kUlp * std::abs(expected[i]) + kTiny * (1 + std::abs(x[i])))
          << IsaName(isa) << " silu of " << x[i];
    }
  }
}

TEST(KernelsTest, NanReachesEveryResultItBelongsTo) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : AvailableIsas()) {
    for (const int64_t at : {int64_t{0}, int64_t{5}, int64_t{18}}) {
      std::vector<float> x = RandomFloats(19, 8);
      x[at] = nan;
      std::vector<float> y(19);
      EXPECT_TRUE(std::isnan(Kernels(isa).exp_sum(x.data(), 0, 19, y.data())));
      EXPECT_TRUE(std::isnan(y[at]));
      Kernels(isa).silu(x.data(), 19, y.data());
      EXPECT_TRUE(std::isnan(y[at]));
      EXPECT_FALSE(std::isnan(y[1]));
      Kernels(isa).rms_norm(x.data(), x.data(), 1e-5f, 19, y.data());
      EXPECT_TRUE(std::isnan(y[1]));
      float dot = 0;
      Kernels(isa).f32.dot({.data = x.data(), .count = 1}, {.data = x.data(), .count = 1}, 19, &dot,
                           1);
      EXPECT_TRUE(std::isnan(dot));
    }
  }
}

}  // namespace
}  // namespace stocha
