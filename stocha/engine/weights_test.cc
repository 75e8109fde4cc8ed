#include "stocha/engine/weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "stocha/engine/random_model.h"

namespace stocha {
namespace {

float Element(const TensorView& tensor, int64_t index) {
  const std::vector<float> values = ToFloat32(tensor, "test");
  return values[index];
}

float Element(const Matrix& matrix, int64_t row, int64_t col) {
  const int64_t index = row * matrix.stride + col;
  if (matrix.type == WeightType::kBF16) {
    return BF16ToF32(static_cast<const uint16_t*>(matrix.data)[index]);
  }
  return static_cast<const float*>(matrix.data)[index];
}

class EveryType : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Weights, EveryType, testing::Values(DType::kF32, DType::kBF16));

TEST_P(EveryType, UpAndDownOfANeuronStandNextToEachOther) {
  const RandomModel random(SmallConfig(), GetParam());
  ThreadPool pool(3);
  const Weights weights = LoadWeights(random.config(), random.Source(), "test", pool);
  const LayerWeights& layer = weights.layers[1];
  EXPECT_EQ(layer.up.type, GetParam() == DType::kBF16 ? WeightType::kBF16 : WeightType::kF32);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(layer.up.data) % 64, 0U);
  EXPECT_EQ(layer.up.stride, layer.down.stride);
  const auto* up = static_cast<const std::byte*>(layer.up.data);
  const auto* down = static_cast<const std::byte*>(layer.down.data);
  EXPECT_EQ((down - up) * 2, layer.up.stride * static_cast<int64_t>(DTypeSize(GetParam())));

  const std::vector<float> stored_up =
      ToFloat32(random.tensor("model.layers.1.mlp.up_proj.weight"), "test");
  const std::vector<float> stored_down =
      ToFloat32(random.tensor("model.layers.1.mlp.down_proj.weight"), "test");
  const int64_t neurons = random.config().intermediate_size;
  const int64_t hidden = random.config().hidden_size;
  for (int64_t i = 0; i < neurons; ++i) {
    for (int64_t c = 0; c < hidden; ++c) {
      ASSERT_EQ(Element(layer.up, i, c), stored_up[i * hidden + c]);
      ASSERT_EQ(Element(layer.down, i, c), stored_down[c * neurons + i]);
    }
  }
}

TEST(WeightsTest, MatricesAreUsedWhereTheyLie) {
  const RandomModel random(SmallConfig(Architecture::kQwen2));
  ThreadPool pool(1);
  const Weights weights = LoadWeights(random.config(), random.Source(), "test", pool);
  EXPECT_EQ(weights.layers[0].gate.data,
            random.tensor("model.layers.0.mlp.gate_proj.weight").bytes.data());
  EXPECT_EQ(weights.head.data, random.tensor("model.embed_tokens.weight").bytes.data());
  EXPECT_TRUE(weights.widened.empty());
  EXPECT_EQ(weights.layers[1].key_bias[2],
            Element(random.tensor("model.layers.1.self_attn.k_proj.bias"), 2));
}

// A file by others may put F32 at any byte; a cast pointer must not be read then.
TEST(WeightsTest, UnalignedAndF16TensorsAreCopied) {
  const RandomModel random(SmallConfig());
  std::vector<std::byte> moved;
  std::vector<std::byte> half;
  TensorView unaligned;
  TensorView f16;
  const TensorSource source = [&](const TensorSpec& spec) -> const TensorView& {
    const TensorView& tensor = random.tensor(spec.name);
    if (spec.role == TensorRole::kGate && spec.layer == 0) {
      moved.resize(tensor.bytes.size() + 1);
      std::memcpy(moved.data() + 1, tensor.bytes.data(), tensor.bytes.size());
      unaligned = tensor;
      unaligned.bytes = std::span(moved).subspan(1);
      return unaligned;
    }
    if (spec.role == TensorRole::kDown && spec.layer == 1) {
      half.assign(static_cast<size_t>(tensor.num_elements()) * 2, std::byte{0});
      half[1] = std::byte{0x3C};  // 1.0 at element 0
      f16 = {.dtype = DType::kF16, .shape = tensor.shape, .bytes = half};
      return f16;
    }
    return tensor;
  };
  ThreadPool pool(1);
  const Weights weights = LoadWeights(random.config(), source, "test", pool);
  EXPECT_EQ(weights.widened.size(), 1U);
  EXPECT_EQ(Element(weights.layers[0].gate, 5, 6),
            Element(random.tensor("model.layers.0.mlp.gate_proj.weight"), 5 * 37 + 6));
  EXPECT_EQ(weights.layers[1].down.type, WeightType::kF32);
  EXPECT_EQ(Element(weights.layers[1].down, 0, 0), 1);
  EXPECT_EQ(Element(weights.layers[1].down, 0, 1), 0);
  EXPECT_EQ(Element(weights.layers[1].up, 3, 4),
            Element(random.tensor("model.layers.1.mlp.up_proj.weight"), 3 * 37 + 4));
}

}  // namespace
}  // namespace stocha
