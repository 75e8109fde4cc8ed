// The shape of a model: config.json with Hugging Face's keys, read strictly and written back.
//
// Llama, Qwen2 (bias on q, k, v) and Qwen3 (RMSNorm on q and k): RMSNorm, RoPE, grouped-query
// attention, gated feed-forward. What this code does not compute is refused, never ignored.
#ifndef STOCHA_MODEL_CONFIG_H_
#define STOCHA_MODEL_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/model/activation.h"

namespace stocha {

enum class Architecture : uint8_t { kLlama, kQwen2, kQwen3 };

// Hugging Face's "rope_scaling" (transformers 4) or "rope_parameters" (transformers 5).
struct RopeScaling {
  enum class Type : uint8_t { kNone, kLinear, kLlama3 };
  Type type = Type::kNone;
  double factor = 1;
  double low_freq_factor = 1;  // kLlama3 only, as the rest
  double high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  DType dtype = DType::kF32;  // of the stored weights: kF32, kBF16 or kF16
  Activation activation;      // used when nothing else is asked for
  // [num_hidden_layers], not below 0: a neuron of the layer fires when its gate is above this; only
  // where the activation is sparse. Empty: 0 everywhere.
  std::vector<float> thresholds;
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;  // "eos_token_id": none, one or several

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;

  bool has_qkv_bias() const { return architecture == Architecture::kQwen2; }
  bool has_qk_norm() const { return architecture == Architecture::kQwen3; }
  int64_t q_size() const { return num_attention_heads * head_dim; }
  int64_t kv_size() const { return num_key_value_heads * head_dim; }
};

// Parses the text of a config.json; `where` names it in errors. Throws Error on broken JSON, a
// missing key, a value out of range, or one that asks for something not computed here (an unknown
// architecture, hidden_act or RoPE type, mlp_bias, a sliding window ...).
ModelConfig ParseModelConfig(std::string_view json, std::string_view where);
ModelConfig ReadModelConfig(const std::filesystem::path& file);

// config.json. ReLU, SiLU and squared ReLU give the plain architecture ("LlamaForCausalLM") with
// the true hidden_act; anything stochastic, or with thresholds ("stocha_thresholds"), gives
// "StochaForCausalLM", so that every other loader stops.
std::string ModelConfigToJson(const ModelConfig& config);

// Throws Error unless the sizes are positive, within limits, and fit each other. Parse calls it.
void ValidateModelConfig(const ModelConfig& config, std::string_view where);

// inv_freq[i] of RoPE, i < head_dim / 2, radians a position, with rope_scaling applied; in double.
// Formula: transformers modeling_rope_utils (default, linear, llama3).
std::vector<double> RopeInverseFrequencies(const ModelConfig& config);

}  // namespace stocha

#endif  // STOCHA_MODEL_CONFIG_H_
