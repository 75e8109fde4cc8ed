#include "stocha/engine/quantize_type.h"

#include <algorithm>
#include <array>

#include "stocha/base/error.h"
#include "stocha/engine/packed_tensors.h"

namespace stocha {
namespace {

// In the order of QuantizeType.
constexpr std::array<std::string_view, 6> kNames = {"f32", "bf16", "q8_0", "q4_0", "q4_k", "mixed"};

bool IsVocabulary(TensorRole role) {
  return role == TensorRole::kEmbedding || role == TensorRole::kHead;
}

}  // namespace

std::string_view QuantizeTypeName(QuantizeType type) { return kNames[static_cast<size_t>(type)]; }

std::vector<std::string> QuantizeTypeNames() { return {kNames.begin(), kNames.end()}; }

QuantizeType ParseQuantizeType(std::string_view text, std::string_view where) {
  const auto* found = std::ranges::find(kNames, text);
  if (found == kNames.end()) {
    throw UsageError({.where = std::string(where),
                      .what = "unknown type",
                      .got = std::string(text),
                      .expected = "f32, bf16, q8_0, q4_0, q4_k or mixed"});
  }
  return static_cast<QuantizeType>(found - kNames.begin());
}

WeightType WantedType(QuantizeType type, TensorRole role, FfnLayout layout) {
  const bool gate = role == TensorRole::kGate;
  switch (type) {
    case QuantizeType::kF32:
      return WeightType::kF32;
    case QuantizeType::kBF16:
      return WeightType::kBF16;
    case QuantizeType::kQ8_0:
      return gate && layout == FfnLayout::kNeurons ? WeightType::kPlanes : WeightType::kQ8_0;
    case QuantizeType::kQ4_0:
      return IsVocabulary(role) ? WeightType::kQ6_K : WeightType::kQ4_0;
    case QuantizeType::kQ4_K:
      return IsVocabulary(role) ? WeightType::kQ6_K : WeightType::kQ4_K;
    case QuantizeType::kMixed:
      return gate ? WeightType::kQ4_K : WeightType::kQ8_0;
  }
  return WeightType::kF32;
}

WeightType FittingType(WeightType wanted, int64_t cols) {
  return RowsFit(wanted, cols) ? wanted : WeightType::kBF16;
}

}  // namespace stocha
