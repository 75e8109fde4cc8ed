// The reading half of config.h: config.json as transformers 4 and 5 write it.
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/model/config.h"
#include "stocha/model/config_fields.h"

namespace stocha {
namespace {

// "model_type" and "architectures"; either may be missing, but they must not contradict each other.
const ArchitectureInfo& ParseArchitecture(const JsonObject& json) {
  constexpr std::string_view kExpected = "one of llama, qwen2, qwen3, stocha";
  std::string class_name;
  if (json.Has("architectures")) {
    const Json& names = json.Array("architectures");
    if (names.size() != 1 || !names[0].is_string()) json.Fail("architectures", "one class name");
    class_name = names[0].get<std::string>();
  }
  const std::string model_type = json.StringOr("model_type", "");
  const bool stocha = model_type == kStochaType || class_name == kStochaClass;
  if (stocha) {
    if (model_type != kStochaType) json.Fail("model_type", "\"stocha\", as \"architectures\" says");
    if (!class_name.empty() && class_name != kStochaClass) {
      json.Fail("architectures", "[\"StochaForCausalLM\"], as \"model_type\" says");
    }
    const std::string base = json.String("base_model_type");
    for (const ArchitectureInfo& info : kArchitectures) {
      if (base == info.model_type) return info;
    }
    json.Fail("base_model_type", "one of llama, qwen2, qwen3");
  }
  for (const ArchitectureInfo& info : kArchitectures) {
    if (model_type.empty() ? class_name != info.class_name : model_type != info.model_type)
      continue;
    if (!class_name.empty() && class_name != info.class_name) {
      json.Fail("architectures", "[\"" + std::string(info.class_name) + "\"], as model_type says");
    }
    return info;
  }
  json.Fail(model_type.empty() && !class_name.empty() ? "architectures" : "model_type", kExpected,
            "this architecture is not supported");
}

Activation ParseHiddenAct(const JsonObject& json) {
  const std::string name = json.StringOr("hidden_act", "silu");
  if (name == "relu") return {.kind = ActivationKind::kRelu};
  if (name == "silu" || name == "swish") return {.kind = ActivationKind::kSilu};
  if (name == "relu2") return {.kind = ActivationKind::kReluSquared};
  json.Fail("hidden_act", "relu, silu or relu2");
}

void ParseSizes(const JsonObject& json, const ArchitectureInfo& info, ModelConfig* config) {
  for (const SizeField& field : kSizeFields) {
    config->*field.member = field.required ? json.Integer(field.key, 1, field.max)
                                           : json.IntegerOr(field.key, 0, 1, field.max);
  }
  if (config->num_key_value_heads == 0) {
    // null asks for as many as there are query heads, in every architecture.
    const bool is_null = json.value().contains("num_key_value_heads");
    config->num_key_value_heads = is_null ? 0 : info.num_key_value_heads;
  }
  const auto fill_in = [](int64_t* size, int64_t value) {
    if (*size == 0) *size = value;
  };
  fill_in(&config->num_key_value_heads, config->num_attention_heads);
  fill_in(&config->head_dim, info.head_dim);
  fill_in(&config->head_dim, config->hidden_size / config->num_attention_heads);
  fill_in(&config->max_position_embeddings, info.max_position_embeddings);
}

double PositiveNumber(const JsonObject& json, std::string_view key) {
  const double value = json.Number(key);
  if (!(value > 0)) json.Fail(key, "a number above 0");
  return value;
}

// transformers 4 has "rope_theta" and, where positions are scaled, "rope_scaling"; transformers 5
// has "rope_parameters" with both, and still lets "rope_scaling" win.
void ParseRope(const JsonObject& json, ModelConfig* config) {
  if (json.NumberOr("partial_rotary_factor", 1) != 1) json.Fail("partial_rotary_factor", "1");
  if (json.Has("rope_theta")) config->rope_theta = PositiveNumber(json, "rope_theta");
  std::string_view key = "rope_scaling";
  if (!json.Has(key) || json.Object(key).value().empty()) key = "rope_parameters";
  if (!json.Has(key)) return;

  const JsonObject rope = json.Object(key);
  for (const auto& [name, value] : rope.value().items()) {
    if (value.is_object()) rope.Fail(name, "no nested RoPE parameters");
  }
  if (rope.Has("rope_theta")) config->rope_theta = PositiveNumber(rope, "rope_theta");
  if (rope.NumberOr("partial_rotary_factor", 1) != 1) rope.Fail("partial_rotary_factor", "1");
  const std::string_view type_key = rope.Has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.StringOr(type_key, "default");
  if (type == "default") return;

  RopeScaling& scaling = config->rope_scaling;
  if (type != "linear" && type != "llama3") rope.Fail(type_key, "default, linear or llama3");
  scaling.factor = PositiveNumber(rope, "factor");
  scaling.type = RopeScaling::Type::kLinear;
  if (type == "linear") return;

  scaling.type = RopeScaling::Type::kLlama3;
  scaling.low_freq_factor = PositiveNumber(rope, "low_freq_factor");
  scaling.high_freq_factor = PositiveNumber(rope, "high_freq_factor");
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  scaling.original_max_position_embeddings = json.IntegerOr(
      kOriginal, rope.IntegerOr(kOriginal, config->max_position_embeddings, 1, kMaxPositions), 1,
      kMaxPositions);
}

DType ParseDType(const JsonObject& json) {
  const std::string_view key = json.Has("dtype") ? "dtype" : "torch_dtype";
  const std::string name = json.StringOr(key, "float32");
  for (const DTypeNamePair& pair : kDTypes) {
    if (name == pair.name) return pair.dtype;
  }
  json.Fail(key, "float32, bfloat16 or float16");
}

// A token id, or a list of them. Unlike elsewhere, null and absent differ: absent means the
// architecture's default.
std::vector<int64_t> ParseTokenIds(const JsonObject& json, std::string_view key,
                                   std::optional<int64_t> fallback) {
  if (!json.value().contains(key)) {
    return fallback ? std::vector<int64_t>{*fallback} : std::vector<int64_t>{};
  }
  const Json* value = json.Find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return {json.Integer(key, 0, kMaxVocabSize)};
  std::vector<int64_t> ids;
  for (const Json& id : *value) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxVocabSize)) {
      json.Fail(key, "token ids");
    }
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

// Of a model that says itself to be stocha's alone: elsewhere they would be passed over.
std::vector<float> ParseThresholds(const JsonObject& json) {
  if (!json.Has(kThresholdsKey)) return {};
  if (json.StringOr("model_type", "") != kStochaType) {
    json.Fail(kThresholdsKey, "none, or \"model_type\": \"stocha\"");
  }
  std::vector<float> thresholds;
  for (const Json& value : json.Array(kThresholdsKey)) {
    if (!value.is_number()) json.Fail(kThresholdsKey, "numbers");
    thresholds.push_back(static_cast<float>(value.get<double>()));
  }
  if (thresholds.empty()) json.Fail(kThresholdsKey, "one number for each layer");
  return thresholds;
}

// Keys that would change the result in ways not computed here.
void RefuseUnsupported(const JsonObject& json, Architecture architecture) {
  for (const std::string_view key : {"mlp_bias", "attention_bias", "use_sliding_window"}) {
    // Qwen2's bias is on q, k and v whatever its config says.
    if (key == "attention_bias" && architecture == Architecture::kQwen2) continue;
    if (json.BoolOr(key, false)) json.Fail(key, "false", "this variant is not supported");
  }
  if (json.IntegerOr("pretraining_tp", 1) > 1) json.Fail("pretraining_tp", "1");
  if (json.Has("quantization_config")) {
    json.Fail("quantization_config", "no quantised weights", "use the unquantised model");
  }
  if (json.Has("layer_types")) {
    for (const Json& type : json.Array("layer_types")) {
      if (type != "full_attention") json.Fail("layer_types", "full_attention in every layer");
    }
  }
}

}  // namespace

ModelConfig ParseModelConfig(std::string_view json_text, std::string_view where) {
  const Json parsed = ParseJson(json_text, where);
  const JsonObject json(parsed, where);
  const ArchitectureInfo& info = ParseArchitecture(json);
  RefuseUnsupported(json, info.architecture);

  ModelConfig config;
  config.architecture = info.architecture;
  ParseSizes(json, info, &config);
  config.rms_norm_eps = json.NumberOr("rms_norm_eps", 1e-6);
  ParseRope(json, &config);
  config.tie_word_embeddings = json.BoolOr("tie_word_embeddings", false);
  config.dtype = ParseDType(json);
  config.activation =
      json.StringOr("model_type", "") == kStochaType
          ? ParseActivation(json.String("activation"), std::string(where) + ": key \"activation\"")
          : ParseHiddenAct(json);
  config.thresholds = ParseThresholds(json);
  const std::vector<int64_t> bos = ParseTokenIds(json, "bos_token_id", info.bos_token_id);
  if (bos.size() > 1) json.Fail("bos_token_id", "one token id");
  if (!bos.empty()) config.bos_token_id = bos.front();
  config.eos_token_ids = ParseTokenIds(json, "eos_token_id", info.eos_token_id);
  ValidateModelConfig(config, where);
  return config;
}

ModelConfig ReadModelConfig(const std::filesystem::path& file) {
  constexpr uint64_t kMaxBytes = 16 << 20;
  return ParseModelConfig(ReadFile(file, kMaxBytes), file.string());
}

}  // namespace stocha
