#include "stocha/bench/random_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stocha/base/dtype.h"

namespace stocha {
namespace {

constexpr int64_t kValues = 65536;
constexpr float kDeviation = 0.02F;

// Mean 0 and the deviation asked for, within what this many values and the rounding of q allow.
void ExpectRandom(const std::vector<float>& values) {
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n / kDeviation, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / n) / kDeviation, 1, 0.02);
}

TEST(RandomRowsTest, PackedRowsUnpackToRandomWeights) {
  for (const PackedFormat format :
       {PackedFormat::kQ8_0, PackedFormat::kQ4_0, PackedFormat::kQ4_K, PackedFormat::kQ6_K}) {
    for (const RowUse use : {RowUse::kDot, RowUse::kAxpy}) {
      RandomBits bits(1);
      std::vector<uint8_t> row(static_cast<size_t>(RowBytes(format, kValues)));
      FillPackedRow(format, use, kValues, kDeviation, bits, row.data());
      std::vector<float> values(kValues);
      UnpackRow(format, use, row.data(), kValues, values.data());
      ExpectRandom(values);
    }
  }
}

TEST(RandomRowsTest, PlanesUnpackToRandomWeights) {
  RandomBits bits(2);
  std::vector<uint8_t> high(static_cast<size_t>(HighPlaneBytes(kValues)));
  std::vector<uint8_t> low(static_cast<size_t>(LowPlaneBytes(kValues)));
  FillHighPlaneRow(kValues, kDeviation, bits, high.data());
  FillLowPlaneRow(kValues, bits, low.data());
  std::vector<float> values(kValues);
  UnpackPlanes(high.data(), low.data(), kValues, values.data());
  ExpectRandom(values);
}

TEST(RandomRowsTest, FloatRowsAreRandomWeights) {
  RandomBits bits(3);
  std::vector<float> values(kValues);
  FillF32Row(kValues, kDeviation, bits, values.data());
  ExpectRandom(values);
  std::vector<uint16_t> halves(kValues);
  FillBF16Row(kValues, kDeviation, bits, halves.data());
  for (int64_t i = 0; i < kValues; ++i) values[i] = BF16ToF32(halves[i]);
  ExpectRandom(values);
}

TEST(RandomRowsTest, SeedsDiffer) {
  EXPECT_NE(RandomBits(1).Next(), RandomBits(2).Next());
  EXPECT_EQ(RandomBits(1).Next(), RandomBits(1).Next());
}

}  // namespace
}  // namespace stocha
