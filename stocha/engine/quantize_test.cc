#include "stocha/engine/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "stocha/base/dtype.h"
#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/engine/packed_testing.h"
#include "stocha/engine/row_coder.h"

namespace stocha {
namespace {

TEST(QuantizeTypeTest, NamesComeBack) {
  for (const std::string& name : QuantizeTypeNames()) {
    EXPECT_EQ(QuantizeTypeName(ParseQuantizeType(name, "--type")), name);
  }
  EXPECT_THROW(ParseQuantizeType("q5_0", "--type"), UsageError);
}

TEST(QuantizeTypeTest, RowsThatDoNotFitBecomeBF16) {
  EXPECT_EQ(FittingType(WeightType::kQ4_K, 512), WeightType::kQ4_K);
  EXPECT_EQ(FittingType(WeightType::kQ4_K, 576), WeightType::kQ4_K);
  EXPECT_EQ(FittingType(WeightType::kQ4_K, 37), WeightType::kBF16);
  EXPECT_EQ(FittingType(WeightType::kPlanes, 576), WeightType::kPlanes);
  EXPECT_EQ(FittingType(WeightType::kPlanes, 37), WeightType::kBF16);
  EXPECT_EQ(FittingType(WeightType::kQ8_0, 37), WeightType::kBF16);
  EXPECT_EQ(FittingType(WeightType::kF32, 37), WeightType::kF32);
}

std::map<std::string_view, QuantizedPart> Parts(const QuantizeSource& source, QuantizeType type) {
  const TemporaryFile file("parts");
  std::map<std::string_view, QuantizedPart> parts;
  for (const QuantizedPart& part : WritePacked(source, type, file.path())) {
    EXPECT_TRUE(parts.emplace(part.part, part).second) << part.part;
  }
  return parts;
}

TEST(QuantizeTest, SaysTypesBytesAndErrors) {
  const RandomModel random(BlockConfig(256, Architecture::kLlama));
  auto parts = Parts(SourceOf(random), QuantizeType::kQ4_K);
  EXPECT_EQ(parts.size(), 7U);
  EXPECT_EQ(parts["embedding"].type, WeightType::kQ6_K);
  EXPECT_EQ(parts["down"].type, WeightType::kQ4_K);
  EXPECT_EQ(parts["norms"].type, WeightType::kF32);
  // 6 bits a value, a byte a half block, a half float a row.
  EXPECT_EQ(parts["embedding"].bytes, 61 * (192 + 16 + 2));
  // 2 layers of 277 rows: 4 bits a value, two bytes a block, two half floats a row.
  EXPECT_EQ(parts["up"].bytes, 2 * 277 * (128 + 16 + 4));
  EXPECT_EQ(parts["up"].bytes, parts["down"].bytes);
  EXPECT_EQ(parts["norms"].RelativeError(), 0);
  EXPECT_LT(parts["embedding"].RelativeError(), 0.02);
  EXPECT_GT(parts["embedding"].RelativeError(), 0.005);
  EXPECT_LT(parts["down"].RelativeError(), 0.1);
  EXPECT_GT(parts["down"].RelativeError(), 0.01);
}

TEST(QuantizeTest, FallsBackAndSaysSo) {
  auto parts = Parts(SourceOf(RandomModel(SmallConfig())), QuantizeType::kMixed);
  EXPECT_EQ(parts["gate"].wanted, WeightType::kQ4_K);
  EXPECT_EQ(parts["gate"].type, WeightType::kBF16);
  EXPECT_EQ(parts["up"].type, WeightType::kBF16);
}

TEST(QuantizeTest, BiasesAreOfTheAttentionAndATiedHeadIsNotStoredTwice) {
  const RandomModel random(BlockConfig(64, Architecture::kQwen2));
  const TemporaryFile file("parts");
  std::map<std::string, std::set<WeightType>> types;
  for (const auto& part : WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path())) {
    types[std::string(part.part)].insert(part.type);
  }
  EXPECT_EQ(types["attention"], (std::set{WeightType::kQ8_0, WeightType::kF32}));
  EXPECT_EQ(types["norms"], std::set{WeightType::kF32});
  EXPECT_FALSE(types.contains("head"));
}

TEST(QuantizeTest, TheFileIsTheSameOnAnyNumberOfThreads) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile one("one");
  const TemporaryFile three("three");
  WritePacked(SourceOf(random), QuantizeType::kMixed, one.path(), 1);
  WritePacked(SourceOf(random), QuantizeType::kMixed, three.path(), 3);
  EXPECT_EQ(ReadFile(one.path()), ReadFile(three.path()));
}

TEST(QuantizeTest, WeightsThatNoTypeHoldsAreRefusedAndNothingIsLeft) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), 1e38F}) {
    for (const char* name : {"model.layers.1.mlp.down_proj.weight", "lm_head.weight"}) {
      QuantizeSource source = SourceOf(random);
      source.read = [read = source.read, name, bad](const TensorSpec& spec, int64_t first,
                                                    int64_t count) {
        std::vector<float> values = read(spec, first, count);
        if (spec.name == name) values.back() = bad;
        return values;
      };
      const TemporaryFile file("refused");
      EXPECT_THROW(WritePacked(source, QuantizeType::kQ8_0, file.path()), Error) << name << bad;
      EXPECT_FALSE(std::filesystem::exists(file.path()));
    }
  }
}

TEST(QuantizeTest, StoppedNothingIsLeft) {
  const RandomModel random(SmallConfig());
  const TemporaryFile file("stopped");
  WriteFile(file.path(), "the old file");
  ThreadPool pool(1);
  const auto stop = [](int64_t) { throw Error({.what = "stopped"}); };
  EXPECT_THROW(
      Quantize(SourceOf(random), QuantizeType::kF32, FfnLayout::kNeurons, file.path(), pool, stop),
      Error);
  EXPECT_EQ(ReadFile(file.path()), "the old file");
}

TEST(RowCoderTest, ErrorIsThatOfTheValuesInTheRow) {
  std::vector<float> values(64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  for (const WeightType type : {WeightType::kBF16, WeightType::kQ8_0, WeightType::kQ4_0}) {
    Matrix matrix = {.type = type, .rows = 1, .cols = 64};
    std::vector<std::byte> row(static_cast<size_t>(matrix.RowBytes()));
    const RowError sums = EncodeRow(type, RowUse::kDot, values.data(), 64, row.data());
    matrix.data = row.data();
    std::vector<float> decoded(64);
    UnpackMatrixRow(matrix, 0, decoded.data());
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      error += std::pow(static_cast<double>(values[i]) - static_cast<double>(decoded[i]), 2);
    }
    EXPECT_DOUBLE_EQ(sums.error, error);
    EXPECT_GT(sums.error, 0);
  }
}

}  // namespace
}  // namespace stocha
