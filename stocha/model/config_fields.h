// What config.cc and config_parse.cc both need to know of config.json: names, defaults and limits.
#ifndef STOCHA_MODEL_CONFIG_FIELDS_H_
#define STOCHA_MODEL_CONFIG_FIELDS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "stocha/model/config.h"

namespace stocha {

inline constexpr std::string_view kStochaType = "stocha";
inline constexpr std::string_view kStochaClass = "StochaForCausalLM";
inline constexpr std::string_view kThresholdsKey = "stocha_thresholds";

// What transformers 5 assumes for keys that a config.json leaves out
// (models/{llama,qwen2,qwen3}/configuration_*.py).
struct ArchitectureInfo {
  Architecture architecture;
  std::string_view model_type;
  std::string_view class_name;
  int64_t num_key_value_heads;  // 0: num_attention_heads
  int64_t head_dim;             // 0: hidden_size / num_attention_heads
  int64_t max_position_embeddings;
  std::optional<int64_t> bos_token_id;
  std::optional<int64_t> eos_token_id;
};
inline constexpr std::array<ArchitectureInfo, 3> kArchitectures = {{
    {Architecture::kLlama, "llama", "LlamaForCausalLM", 0, 0, 2048, 1, 2},
    {Architecture::kQwen2, "qwen2", "Qwen2ForCausalLM", 32, 0, 32768, {}, {}},
    {Architecture::kQwen3, "qwen3", "Qwen3ForCausalLM", 32, 128, 32768, {}, {}},
}};

struct DTypeNamePair {
  DType dtype;
  std::string_view name;
};
inline constexpr std::array<DTypeNamePair, 3> kDTypes = {{
    {DType::kF32, "float32"},
    {DType::kBF16, "bfloat16"},
    {DType::kF16, "float16"},
}};

// A size of the model: from 1 to `max`; larger ones are mistakes. With kMaxQuerySize, the limits
// keep the bytes of a whole model below 2^62, so that no product of sizes overflows.
struct SizeField {
  std::string_view key;
  int64_t ModelConfig::* member;
  int64_t max;
  bool required;
};
inline constexpr int64_t kMaxVocabSize = 1 << 24;
inline constexpr int64_t kMaxPositions = 1 << 30;
inline constexpr int64_t kMaxQuerySize = 1 << 22;  // num_attention_heads * head_dim
inline constexpr std::array<SizeField, 8> kSizeFields = {{
    {"vocab_size", &ModelConfig::vocab_size, kMaxVocabSize, true},
    {"hidden_size", &ModelConfig::hidden_size, 1 << 20, true},
    {"intermediate_size", &ModelConfig::intermediate_size, 1 << 22, true},
    {"num_hidden_layers", &ModelConfig::num_hidden_layers, 1 << 12, true},
    {"num_attention_heads", &ModelConfig::num_attention_heads, 1 << 14, true},
    {"num_key_value_heads", &ModelConfig::num_key_value_heads, 1 << 14, false},
    {"head_dim", &ModelConfig::head_dim, 1 << 14, false},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings, kMaxPositions, false},
}};

}  // namespace stocha

#endif  // STOCHA_MODEL_CONFIG_FIELDS_H_
