#include "stocha/engine/packed_tensors.h"

#include <utility>

#include "stocha/kernels/packed.h"

namespace stocha {
namespace {

constexpr std::string_view kNeuronsPrefix = "neurons:";

GgmlType StoredType(WeightType type) {
  if (type == WeightType::kF32) return GgmlType::kF32;
  return type == WeightType::kBF16 ? GgmlType::kBF16 : GgmlType::kI8;
}

// Elements of f32 and bf16, bytes of the others.
int64_t StoredRow(WeightType type, int64_t cols) {
  return IsPacked(type) ? Matrix{.type = type, .cols = cols}.RowBytes() : cols;
}

PackedTensor Vector(const TensorSpec& spec) {
  return {.spec = spec,
          .part = PackedPart::kVector,
          .type = WeightType::kF32,
          .name = spec.name,
          .format = "f32",
          .stored = GgmlType::kF32,
          .shape = spec.shape};
}

PackedTensor MatrixTensor(const TensorSpec& spec, WeightType type) {
  return {.spec = spec,
          .part = PackedPart::kMatrix,
          .type = type,
          .name = spec.name,
          .format = std::string(WeightTypeName(type)),
          .stored = StoredType(type),
          .shape = {spec.shape[0], StoredRow(type, spec.shape[1])}};
}

PackedTensor Plane(const TensorSpec& spec, bool high) {
  const int64_t cols = spec.shape[1];
  const std::string suffix = high ? ".high" : ".low";
  return {.spec = spec,
          .part = high ? PackedPart::kHighPlane : PackedPart::kLowPlane,
          .type = WeightType::kPlanes,
          .name = spec.name + suffix,
          .format = "q8_0" + suffix,
          .stored = GgmlType::kI8,
          .shape = {spec.shape[0], high ? HighPlaneBytes(cols) : LowPlaneBytes(cols)}};
}

PackedTensor Neurons(const TensorSpec& up, WeightType type) {
  PackedTensor tensor = MatrixTensor(up, type);
  tensor.part = PackedPart::kNeurons;
  tensor.name = NeuronsName(up.layer);
  tensor.format.insert(0, kNeuronsPrefix);
  tensor.shape[1] *= 2;
  return tensor;
}

}  // namespace

std::vector<PackedTensor> ListPackedTensors(const ModelConfig& config, const WeightTypes& types,
                                            FfnLayout layout) {
  const bool neurons = layout == FfnLayout::kNeurons;
  std::vector<PackedTensor> list;
  for (const TensorSpec& spec : ListTensors(config)) {
    if (neurons && spec.role == TensorRole::kDown) continue;  // stands with up
    if (spec.shape.size() == 1) {
      list.push_back(Vector(spec));
      continue;
    }
    const WeightType type = types(spec);
    if (neurons && spec.role == TensorRole::kUp) {
      list.push_back(Neurons(spec, type));
    } else if (type == WeightType::kPlanes) {
      list.push_back(Plane(spec, /*high=*/true));
      list.push_back(Plane(spec, /*high=*/false));
    } else {
      list.push_back(MatrixTensor(spec, type));
    }
  }
  return list;
}

std::string NeuronsName(int layer) {
  return "model.layers." + std::to_string(layer) + ".mlp.neurons";
}

std::optional<WeightType> ParseFormat(std::string_view format) {
  const bool neurons = format.starts_with(kNeuronsPrefix);
  if (neurons) format.remove_prefix(kNeuronsPrefix.size());
  for (const WeightType type : {WeightType::kF32, WeightType::kBF16, WeightType::kQ8_0,
                                WeightType::kQ4_0, WeightType::kQ4_K, WeightType::kQ6_K}) {
    if (format == WeightTypeName(type) && (!neurons || HasAxpy(type))) return type;
  }
  return std::nullopt;
}

bool RowsFit(WeightType type, int64_t cols) { return !IsPacked(type) || cols % kBlock == 0; }

}  // namespace stocha
