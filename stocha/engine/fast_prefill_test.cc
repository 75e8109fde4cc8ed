// PrefillMode::kFast: near the exact one, and of bits that no division of the work changes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stocha/engine/packed_testing.h"
#include "stocha/kernels/amx_emulator.h"

namespace stocha {
namespace {

constexpr size_t kTokens = 200;  // more than one pass of either mode

std::optional<Isa> IsaWithTiles() {
  for (const Isa isa : EmulatedIsas()) {
    if (Kernels(isa).tiles != nullptr) return isa;
  }
  return std::nullopt;
}

ModelConfig LongConfig() {
  ModelConfig config = BlockConfig(320, Architecture::kQwen3);
  config.max_position_embeddings = kTokens;
  return config;
}

struct Case {
  QuantizeType type;
  FfnLayout layout;
  const char* name;
};

class FastPrefill : public testing::TestWithParam<Case> {
 protected:
  FastPrefill() : random_(LongConfig()), file_(GetParam().name) {
    WritePacked(SourceOf(random_), GetParam().type, file_.path(), 2, GetParam().layout);
    ids_ = RandomIds(random_.config(), kTokens);
  }
  void SetUp() override {
    if (!IsaWithTiles()) GTEST_SKIP() << "no AVX-512 with bfloat16, which the tiles need";
  }
  std::vector<float> Logits(const Division& division) {
    ThreadPool pool(1);
    return PackedLogits(Model::Load(file_.path(), pool), ids_, activation_, division);
  }

  const std::string activation_ = GetParam().layout == FfnLayout::kRows ? "silu" : "relu";
  RandomModel random_;
  TemporaryFile file_;
  std::vector<int32_t> ids_;
};

TEST_P(FastPrefill, IsNearerToInputsOf16BitsThanThoseOf8Are) {
  const Isa isa = *IsaWithTiles();
  const std::vector<float> exact = Logits({.piece = kTokens, .isa = isa});
  const std::vector<float> fine =
      Logits({.piece = kTokens, .isa = isa, .depth = QuantizedDepth::kFine});
  const std::vector<float> fast =
      Logits({.piece = kTokens, .isa = isa, .prefill = PrefillMode::kFast});
  EXPECT_NE(fast, exact) << "the tiles were not used";
  EXPECT_LT(RelativeDifference(fast, fine), RelativeDifference(exact, fine));
}

TEST_P(FastPrefill, DoesNotDependOnThreadsOrModes) {
  const Isa isa = *IsaWithTiles();
  const Division one = {.piece = kTokens, .isa = isa, .prefill = PrefillMode::kFast};
  const std::vector<float> expected = Logits(one);
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact, FfnMode::kScreened}) {
    Division other = one;
    other.mode = mode;
    other.threads = 3;
    EXPECT_EQ(Logits(other), expected);
  }
}

TEST_P(FastPrefill, FewTokensAreExact) {
  const Isa isa = *IsaWithTiles();
  const Division exact = {.piece = kLeastFastTokens - 1, .isa = isa};
  Division fast = exact;
  fast.prefill = PrefillMode::kFast;
  EXPECT_EQ(Logits(fast), Logits(exact));
}

TEST_P(FastPrefill, IsExactWithoutTiles) {
  const Division exact = {.piece = kTokens, .isa = Isa::kAvx512};
  Division fast = exact;
  fast.prefill = PrefillMode::kFast;
  EXPECT_EQ(Logits(fast), Logits(exact));
}

// Rows of neurons that are no whole blocks stay in bf16, beside attention's in q8_0.
TEST(FastPrefillTest, IsExactWhereNeuronsHaveNoTiles) {
  const std::optional<Isa> isa = IsaWithTiles();
  if (!isa) GTEST_SKIP() << "no AVX-512 with bfloat16, which the tiles need";
  ModelConfig config = LongConfig();
  config.hidden_size = 72;
  config.head_dim = 16;
  const RandomModel random(config);
  const TemporaryFile file("no-tiles");
  WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path());
  ThreadPool pool(1);
  const Model model = Model::Load(file.path(), pool);
  const std::vector<int32_t> ids = RandomIds(config, kTokens);
  const Division exact = {.threads = 2, .piece = kTokens, .isa = *isa};
  Division fast = exact;
  fast.prefill = PrefillMode::kFast;
  EXPECT_EQ(PackedLogits(model, ids, "relu", fast), PackedLogits(model, ids, "relu", exact));
}

TEST(FastPrefillTest, AFileMayHaveFormatsWithoutTiles) {
  Weights weights;
  LayerWeights& layer = weights.layers.emplace_back();
  for (Matrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.attention_output,
                         &layer.gate, &layer.up, &layer.down}) {
    matrix->type = WeightType::kQ8_0;
  }
  layer.gate.type = WeightType::kPlanes;
  EXPECT_TRUE(weights.fit_tiles());
  layer.attention_output.type = WeightType::kBF16;  // takes vectors as they are
  EXPECT_TRUE(weights.fit_tiles());
  layer.gate.type = WeightType::kQ6_K;
  EXPECT_FALSE(weights.fit_tiles());
  layer.gate.type = WeightType::kQ4_K;
  layer.down.type = WeightType::kBF16;
  EXPECT_FALSE(weights.fit_tiles());
  layer.layout = FfnLayout::kRows;
  EXPECT_TRUE(weights.fit_tiles());
}

INSTANTIATE_TEST_SUITE_P(, FastPrefill,
                         testing::Values(Case{QuantizeType::kQ8_0, FfnLayout::kNeurons, "q8_0"},
                                         Case{QuantizeType::kQ4_0, FfnLayout::kNeurons, "q4_0"},
                                         Case{QuantizeType::kQ4_K, FfnLayout::kNeurons, "q4_k"},
                                         Case{QuantizeType::kMixed, FfnLayout::kNeurons, "mixed"},
                                         Case{QuantizeType::kQ8_0, FfnLayout::kRows, "q8_0_rows"}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace stocha
