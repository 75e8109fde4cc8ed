// What `stocha quantize --type` means: the type of each matrix of a model.
//
//   type    embedding, head   attention   gate               up, down
//   f32     f32               f32         f32                f32
//   bf16    bf16              bf16        bf16               bf16
//   q8_0    q8_0              q8_0        q8_0 in planes     q8_0
//   q4_0    q6_k              q4_0        q4_0               q4_0
//   q4_k    q6_k              q4_k        q4_k               q4_k
//   mixed   q8_0              q8_0        q4_k               q8_0
//
// mixed: every token reads the gate whole, of up and down only the neurons that fire; so the gate
// is what is worth making small. Rows that are no whole number of blocks become bf16.
#ifndef STOCHA_ENGINE_QUANTIZE_TYPE_H_
#define STOCHA_ENGINE_QUANTIZE_TYPE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/engine/matrix.h"
#include "stocha/engine/weights.h"
#include "stocha/model/tensors.h"

namespace stocha {

enum class QuantizeType : uint8_t { kF32, kBF16, kQ8_0, kQ4_0, kQ4_K, kMixed };

std::string_view QuantizeTypeName(QuantizeType type);
std::vector<std::string> QuantizeTypeNames();
// Throws UsageError, naming `where`, on anything else than one of the names.
QuantizeType ParseQuantizeType(std::string_view text, std::string_view where);

// Of a matrix of ListTensors, as the table has it; and what its rows allow of it. A layout of rows
// computes every neuron, so its gate is never in planes.
WeightType WantedType(QuantizeType type, TensorRole role, FfnLayout layout = FfnLayout::kNeurons);
WeightType FittingType(WeightType wanted, int64_t cols);

}  // namespace stocha

#endif  // STOCHA_ENGINE_QUANTIZE_TYPE_H_
