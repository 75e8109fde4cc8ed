// The tensors of a packed model file (packed_model.h): name, format and shape of each, as the types
// of the matrices tell. Reader and writer walk this one list.
#ifndef STOCHA_ENGINE_PACKED_TENSORS_H_
#define STOCHA_ENGINE_PACKED_TENSORS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/engine/matrix.h"
#include "stocha/engine/weights.h"
#include "stocha/model/config.h"
#include "stocha/model/gguf.h"
#include "stocha/model/tensors.h"

namespace stocha {

enum class PackedPart : uint8_t {
  kVector,     // a norm or a bias, F32, under its Hugging Face name, as the next
  kMatrix,     // rows that are f32 or bf16, of that type; packed ones I8 [rows, bytes of a row]
  kHighPlane,  // of a gate of type kPlanes: NAME.high, I8 [rows, bytes of a row]
  kLowPlane,   // NAME.low, likewise
  kNeurons,    // up and down of a layer: in a row, the row of up, then that of down transposed;
               // FfnLayout::kRows has two kMatrix instead
};

struct PackedTensor {
  TensorSpec spec;  // kNeurons: of up
  PackedPart part;
  WeightType type;
  std::string name;
  std::string format;  // "f32", "q8_0.high", "neurons:q4_0"
  GgmlType stored;
  std::vector<int64_t> shape;  // [rows, elements or bytes of a row]; as the spec's of kVector
};

// The type of a matrix; of neurons, asked for up, which stands for down too. kPlanes is for the
// gate alone.
using WeightTypes = std::function<WeightType(const TensorSpec&)>;

// In the order of ListTensors; rows of the types must be possible (RowsFit).
std::vector<PackedTensor> ListPackedTensors(const ModelConfig& config, const WeightTypes& types,
                                            FfnLayout layout);

// "model.layers.3.mlp.neurons"
std::string NeuronsName(int layer);

// The type behind a format's name, with or without "neurons:"; nothing for any other text. A plane
// is no type by itself.
std::optional<WeightType> ParseFormat(std::string_view format);

// Whether rows of `cols` values are a whole number of the type's blocks.
bool RowsFit(WeightType type, int64_t cols);

}  // namespace stocha

#endif  // STOCHA_ENGINE_PACKED_TENSORS_H_
