// The one list of a model's weights: name, shape, role; Hugging Face names, in forward order.
// Loader, exporter, trainer, engine and `inspect` all walk it.
#ifndef STOCHA_MODEL_TENSORS_H_
#define STOCHA_MODEL_TENSORS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/model/config.h"

namespace stocha {

enum class TensorRole : uint8_t {
  kEmbedding,          // [vocab_size, hidden_size]
  kInputNorm,          // [hidden_size]
  kQuery,              // [q_size, hidden_size]; every matrix is [out, in]
  kKey,                // [kv_size, hidden_size]
  kValue,              // [kv_size, hidden_size]
  kQueryBias,          // [q_size], Qwen2
  kKeyBias,            // [kv_size]
  kValueBias,          // [kv_size]
  kQueryNorm,          // [head_dim], Qwen3
  kKeyNorm,            // [head_dim]
  kAttentionOutput,    // [hidden_size, q_size]
  kPostAttentionNorm,  // [hidden_size]
  kGate,               // [intermediate_size, hidden_size]
  kUp,                 // [intermediate_size, hidden_size]
  kDown,               // [hidden_size, intermediate_size]
  kFinalNorm,          // [hidden_size]
  kHead,               // [vocab_size, hidden_size]; absent when tied to the embedding
};

// Parts of a model, as its weights are reported: biases count with what they are added to, every
// norm with the norms.
enum class ModelPart : uint8_t { kEmbedding, kAttention, kGate, kUp, kDown, kNorms, kHead };

ModelPart PartOf(TensorRole role);
std::string_view ModelPartName(ModelPart part);  // "embedding", "attention" ...

struct TensorSpec {
  std::string name;            // "model.layers.3.mlp.gate_proj.weight"
  std::vector<int64_t> shape;  // row-major
  TensorRole role;
  int layer;  // -1 outside the layers

  int64_t num_elements() const;
};

std::vector<TensorSpec> ListTensors(const ModelConfig& config);

// The number of weights; a tied head counts once.
int64_t CountParameters(const ModelConfig& config);

}  // namespace stocha

#endif  // STOCHA_MODEL_TENSORS_H_
