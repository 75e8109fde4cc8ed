#include "stocha/kernels/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

namespace stocha {
namespace {

constexpr int64_t kSizes[] = {32, 64, 96, 128, 160, 512, 576, 768, 1536};

std::vector<float> RandomRow(int64_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 0.05F);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<float> RoundTrip(PackedFormat format, RowUse use, const std::vector<float>& values) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<uint8_t> row(static_cast<size_t>(RowBytes(format, n)));
  QuantizeRow(format, use, values.data(), n, row.data());
  std::vector<float> back(values.size());
  UnpackRow(format, use, row.data(), n, back.data());
  return back;
}

double RelativeError(const std::vector<float>& values, const std::vector<float>& back) {
  double error = 0;
  double power = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += std::pow(double{values[i]} - back[i], 2);
    power += std::pow(double{values[i]}, 2);
  }
  return std::sqrt(error / power);
}

// For normal weights; what a uniform error of the step would give is near these.
TEST(PackedTest, RoundingLosesWhatTheFormatMust) {
  for (const RowUse use : {RowUse::kDot, RowUse::kAxpy}) {
    for (const int64_t n : kSizes) {
      const std::vector<float> values = RandomRow(n, static_cast<uint32_t>(n));
      EXPECT_LT(RelativeError(values, RoundTrip(PackedFormat::kQ8_0, use, values)), 0.008);
      EXPECT_LT(RelativeError(values, RoundTrip(PackedFormat::kQ4_0, use, values)), 0.12);
      EXPECT_LT(RelativeError(values, RoundTrip(PackedFormat::kQ4_K, use, values)), 0.08);
      EXPECT_LT(RelativeError(values, RoundTrip(PackedFormat::kQ6_K, use, values)), 0.019);
    }
  }
}

TEST(PackedTest, RowsForDotAndAxpyHoldTheSameValues) {
  for (const int64_t n : kSizes) {
    const std::vector<float> values = RandomRow(n, 3);
    EXPECT_EQ(RoundTrip(PackedFormat::kQ8_0, RowUse::kDot, values),
              RoundTrip(PackedFormat::kQ8_0, RowUse::kAxpy, values));
  }
}

TEST(PackedTest, EveryValueHasAPlaceOfItsOwn) {
  for (int64_t blocks = 1; blocks <= kStepBlocks; ++blocks) {
    std::set<int64_t> places;
    for (int64_t i = 0; i < blocks * kBlock; ++i) places.insert(Q8DotOffset(i, blocks));
    EXPECT_EQ(*places.begin(), 0);
    EXPECT_EQ(*places.rbegin(), blocks * kBlock - 1);
    EXPECT_EQ(static_cast<int64_t>(places.size()), blocks * kBlock);
  }
}

TEST(PackedTest, PlanesHoldTheValuesOfTheirRow) {
  for (const int64_t n : kSizes) {
    const std::vector<float> values = RandomRow(n, 5);
    std::vector<uint8_t> row(static_cast<size_t>(RowBytes(PackedFormat::kQ8_0, n)));
    QuantizeRow(PackedFormat::kQ8_0, RowUse::kDot, values.data(), n, row.data());
    std::vector<uint8_t> high(static_cast<size_t>(HighPlaneBytes(n)));
    std::vector<uint8_t> low(static_cast<size_t>(LowPlaneBytes(n)));
    SplitPlanes(row.data(), n, high.data(), low.data());
    std::vector<float> back(values.size());
    UnpackPlanes(high.data(), low.data(), n, back.data());
    EXPECT_EQ(back, RoundTrip(PackedFormat::kQ8_0, RowUse::kDot, values));
  }
}

TEST(PackedTest, ZerosStayZeros) {
  const std::vector<float> zeros(512, 0.0F);
  for (const PackedFormat format :
       {PackedFormat::kQ8_0, PackedFormat::kQ4_0, PackedFormat::kQ4_K, PackedFormat::kQ6_K}) {
    const std::vector<float> back = RoundTrip(format, RowUse::kDot, zeros);
    EXPECT_TRUE(std::ranges::all_of(back, [](float x) { return x == 0; }));
  }
}

}  // namespace
}  // namespace stocha
