#include "stocha/model/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/model/json.h"

namespace stocha {
namespace {

constexpr std::string_view kStochaType = "stocha";
constexpr std::string_view kStochaClass = "StochaForCausalLM";

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
constexpr std::array<ArchitectureInfo, 3> kArchitectures = {{
    {Architecture::kLlama, "llama", "LlamaForCausalLM", 0, 0, 2048, 1, 2},
    {Architecture::kQwen2, "qwen2", "Qwen2ForCausalLM", 32, 0, 32768, {}, {}},
    {Architecture::kQwen3, "qwen3", "Qwen3ForCausalLM", 32, 128, 32768, {}, {}},
}};

struct DTypeNamePair {
  DType dtype;
  std::string_view name;
};
constexpr std::array<DTypeNamePair, 3> kDTypes = {{
    {DType::kF32, "float32"},
    {DType::kBF16, "bfloat16"},
    {DType::kF16, "float16"},
}};

// Sizes beyond these are mistakes. Together they keep the bytes of a whole model below 2^62, so
// that no product of sizes overflows.
constexpr int64_t kMaxVocabSize = 1 << 24;
constexpr int64_t kMaxHiddenSize = 1 << 20;
constexpr int64_t kMaxIntermediateSize = 1 << 22;
constexpr int64_t kMaxLayers = 1 << 12;
constexpr int64_t kMaxHeads = 1 << 14;
constexpr int64_t kMaxHeadDim = 1 << 14;
constexpr int64_t kMaxQuerySize = 1 << 22;
constexpr int64_t kMaxPositions = 1 << 30;

const ArchitectureInfo& InfoOf(Architecture architecture) {
  return kArchitectures[static_cast<size_t>(architecture)];
}

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
  config.vocab_size = json.Integer("vocab_size", 1, kMaxVocabSize);
  config.hidden_size = json.Integer("hidden_size", 1, kMaxHiddenSize);
  config.intermediate_size = json.Integer("intermediate_size", 1, kMaxIntermediateSize);
  config.num_hidden_layers = json.Integer("num_hidden_layers", 1, kMaxLayers);
  config.num_attention_heads = json.Integer("num_attention_heads", 1, kMaxHeads);

  // null asks for as many as there are query heads, in every architecture.
  int64_t kv_heads = info.num_key_value_heads;
  if (kv_heads == 0 || parsed.contains("num_key_value_heads"))
    kv_heads = config.num_attention_heads;
  config.num_key_value_heads = json.IntegerOr("num_key_value_heads", kv_heads, 1, kMaxHeads);
  int64_t head_dim = info.head_dim;
  if (head_dim == 0) head_dim = config.hidden_size / config.num_attention_heads;
  config.head_dim = json.IntegerOr("head_dim", head_dim, 1, kMaxHeadDim);

  config.max_position_embeddings =
      json.IntegerOr("max_position_embeddings", info.max_position_embeddings, 1, kMaxPositions);
  config.rms_norm_eps = json.NumberOr("rms_norm_eps", 1e-6);
  ParseRope(json, &config);
  config.tie_word_embeddings = json.BoolOr("tie_word_embeddings", false);
  config.dtype = ParseDType(json);
  config.activation =
      json.StringOr("model_type", "") == kStochaType
          ? ParseActivation(json.String("activation"), std::string(where) + ": key \"activation\"")
          : ParseHiddenAct(json);
  const std::vector<int64_t> bos = ParseTokenIds(json, "bos_token_id", info.bos_token_id);
  if (!bos.empty()) config.bos_token_id = bos.front();
  config.eos_token_ids = ParseTokenIds(json, "eos_token_id", info.eos_token_id);
  ValidateModelConfig(config, where);
  return config;
}

ModelConfig ReadModelConfig(const std::filesystem::path& file) {
  constexpr uint64_t kMaxBytes = 16 << 20;
  return ParseModelConfig(ReadFile(file, kMaxBytes), file.string());
}

std::string ModelConfigToJson(const ModelConfig& config) {
  const ArchitectureInfo& info = InfoOf(config.architecture);
  // What transformers 5 saves, plus transformers 4's names for the keys that changed.
  nlohmann::ordered_json json;
  std::string hidden_act = ToString(config.activation);
  const bool plain = config.activation.kind == ActivationKind::kRelu ||
                     config.activation.kind == ActivationKind::kSilu ||
                     config.activation.kind == ActivationKind::kReluSquared;
  json["architectures"] = {plain ? info.class_name : kStochaClass};
  json["model_type"] = plain ? info.model_type : kStochaType;
  if (plain) {
    json["hidden_act"] = hidden_act;
  } else {
    json["base_model_type"] = info.model_type;
    json["activation"] = hidden_act;
  }
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  if (!config.has_qkv_bias()) json["attention_bias"] = false;
  if (config.architecture == Architecture::kLlama) json["mlp_bias"] = false;
  if (config.architecture != Architecture::kLlama) json["use_sliding_window"] = false;

  nlohmann::ordered_json scaling;  // null without scaling
  const RopeScaling& rope = config.rope_scaling;
  if (rope.type == RopeScaling::Type::kLinear) {
    scaling = {{"rope_type", "linear"}, {"factor", rope.factor}};
  } else if (rope.type == RopeScaling::Type::kLlama3) {
    scaling = {{"rope_type", "llama3"},
               {"factor", rope.factor},
               {"low_freq_factor", rope.low_freq_factor},
               {"high_freq_factor", rope.high_freq_factor},
               {"original_max_position_embeddings", rope.original_max_position_embeddings}};
  }
  json["rope_theta"] = config.rope_theta;
  json["rope_scaling"] = scaling;
  json["rope_parameters"] =
      scaling.is_null() ? nlohmann::ordered_json{{"rope_type", "default"}} : scaling;
  json["rope_parameters"]["rope_theta"] = config.rope_theta;

  for (const DTypeNamePair& pair : kDTypes) {
    if (pair.dtype == config.dtype) json["dtype"] = json["torch_dtype"] = pair.name;
  }
  json["bos_token_id"] = nullptr;
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  json["eos_token_id"] = nullptr;
  if (config.eos_token_ids.size() == 1) {
    json["eos_token_id"] = config.eos_token_ids[0];
  } else if (!config.eos_token_ids.empty()) {
    json["eos_token_id"] = config.eos_token_ids;
  }
  return json.dump(2) + "\n";
}

void ValidateModelConfig(const ModelConfig& config, std::string_view where) {
  const auto require = [where](bool holds, std::string_view key, auto got,
                               const std::string& expected) {
    if (holds) return;
    throw Error({.where = std::string(where),
                 .what = "key \"" + std::string(key) + "\"",
                 .got = Json(got).dump(),
                 .expected = expected});
  };
  const auto require_size = [&require](std::string_view key, int64_t got, int64_t max) {
    require(got >= 1 && got <= max, key, got, "an integer from 1 to " + std::to_string(max));
  };
  require_size("vocab_size", config.vocab_size, kMaxVocabSize);
  require_size("hidden_size", config.hidden_size, kMaxHiddenSize);
  require_size("intermediate_size", config.intermediate_size, kMaxIntermediateSize);
  require_size("num_hidden_layers", config.num_hidden_layers, kMaxLayers);
  require_size("num_attention_heads", config.num_attention_heads, kMaxHeads);
  require_size("num_key_value_heads", config.num_key_value_heads, kMaxHeads);
  require_size("head_dim", config.head_dim, kMaxHeadDim);
  require_size("max_position_embeddings", config.max_position_embeddings, kMaxPositions);
  // transformers' LlamaConfig demands it even where head_dim is given.
  require(config.architecture != Architecture::kLlama ||
              config.hidden_size % config.num_attention_heads == 0,
          "num_attention_heads", config.num_attention_heads,
          "a divisor of hidden_size = " + std::to_string(config.hidden_size));
  require(config.head_dim % 2 == 0, "head_dim", config.head_dim,
          "an even number, for RoPE turns pairs");
  require(config.q_size() <= kMaxQuerySize, "num_attention_heads", config.num_attention_heads,
          "num_attention_heads * head_dim of at most " + std::to_string(kMaxQuerySize));
  require(config.num_attention_heads % config.num_key_value_heads == 0, "num_key_value_heads",
          config.num_key_value_heads,
          "a divisor of num_attention_heads = " + std::to_string(config.num_attention_heads));
  require(config.rms_norm_eps > 0 && config.rms_norm_eps < 1, "rms_norm_eps", config.rms_norm_eps,
          "a number between 0 and 1");
  const auto positive = [](double value) { return value > 0 && std::isfinite(value); };
  require(positive(config.rope_theta), "rope_theta", config.rope_theta, "a number above 0");
  const RopeScaling& rope = config.rope_scaling;
  require(positive(rope.factor), "rope_scaling.factor", rope.factor, "a number above 0");
  require(positive(rope.low_freq_factor) && positive(rope.high_freq_factor) &&
              rope.high_freq_factor > rope.low_freq_factor,
          "rope_scaling.high_freq_factor", rope.high_freq_factor,
          "a number above low_freq_factor = " + Json(rope.low_freq_factor).dump());
  require(rope.original_max_position_embeddings >= 1,
          "rope_scaling.original_max_position_embeddings", rope.original_max_position_embeddings,
          "at least 1");
  require(
      std::ranges::any_of(kDTypes, [&](const auto& pair) { return pair.dtype == config.dtype; }),
      "dtype", DTypeName(config.dtype), "F32, BF16 or F16");
}

std::vector<double> RopeInverseFrequencies(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  std::vector<double> frequencies;  // [head_dim / 2]
  for (int64_t i = 0; i < config.head_dim; i += 2) {
    const double plain =
        std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(config.head_dim));
    double frequency = plain;
    if (scaling.type == RopeScaling::Type::kLinear) {
      frequency = plain / scaling.factor;
    } else if (scaling.type == RopeScaling::Type::kLlama3) {
      // Long waves are slowed down by `factor`, short ones kept, those between blended by how often
      // they turn within the original context.
      const double turns = original * plain / (2 * std::numbers::pi);
      const double keep = std::clamp(
          (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor),
          0.0, 1.0);
      frequency = (1 - keep) * plain / scaling.factor + keep * plain;
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

}  // namespace stocha
