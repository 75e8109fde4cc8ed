#include "stocha/model/config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "stocha/base/error.h"
#include "stocha/model/config_fields.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

const ArchitectureInfo& InfoOf(Architecture architecture) {
  return kArchitectures[static_cast<size_t>(architecture)];
}

OrderedJson RopeScalingToJson(const RopeScaling& rope) {
  if (rope.type == RopeScaling::Type::kNone) return {};
  if (rope.type == RopeScaling::Type::kLinear) {
    return {{"rope_type", "linear"}, {"factor", rope.factor}};
  }
  return {{"rope_type", "llama3"},
          {"factor", rope.factor},
          {"low_freq_factor", rope.low_freq_factor},
          {"high_freq_factor", rope.high_freq_factor},
          {"original_max_position_embeddings", rope.original_max_position_embeddings}};
}

}  // namespace

std::string ModelConfigToJson(const ModelConfig& config) {
  const ArchitectureInfo& info = InfoOf(config.architecture);
  // What transformers 5 saves, plus transformers 4's names for the keys that changed.
  OrderedJson json;
  const std::string activation = ToString(config.activation);
  const bool plain =
      config.thresholds.empty() && (config.activation.kind == ActivationKind::kRelu ||
                                    config.activation.kind == ActivationKind::kSilu ||
                                    config.activation.kind == ActivationKind::kReluSquared);
  json["architectures"] = {plain ? info.class_name : kStochaClass};
  json["model_type"] = plain ? info.model_type : kStochaType;
  if (plain) {
    json["hidden_act"] = activation;
  } else {
    json["base_model_type"] = info.model_type;
    json["activation"] = activation;
    // As doubles, which a float is exactly, and which are printed so that they read back the same.
    if (!config.thresholds.empty()) json[kThresholdsKey] = config.thresholds;
  }
  for (const SizeField& field : kSizeFields) json[field.key] = config.*field.member;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  if (!config.has_qkv_bias()) json["attention_bias"] = false;
  if (config.architecture == Architecture::kLlama) json["mlp_bias"] = false;
  if (config.architecture != Architecture::kLlama) json["use_sliding_window"] = false;

  const OrderedJson scaling = RopeScalingToJson(config.rope_scaling);
  json["rope_theta"] = config.rope_theta;
  json["rope_scaling"] = scaling;
  json["rope_parameters"] = scaling.is_null() ? OrderedJson{{"rope_type", "default"}} : scaling;
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
                 .got = OrderedJson(got).dump(),
                 .expected = expected});
  };
  for (const auto& [key, member, max, required] : kSizeFields) {
    require(config.*member >= 1 && config.*member <= max, key, config.*member,
            "an integer from 1 to " + std::to_string(max));
  }
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
          "a number above low_freq_factor = " + OrderedJson(rope.low_freq_factor).dump());
  require(rope.original_max_position_embeddings >= 1,
          "rope_scaling.original_max_position_embeddings", rope.original_max_position_embeddings,
          "at least 1");
  require(config.thresholds.empty() || std::ssize(config.thresholds) == config.num_hidden_layers,
          kThresholdsKey, config.thresholds.size(),
          "one for each of " + std::to_string(config.num_hidden_layers) + " layers");
  for (const float threshold : config.thresholds) {
    require(threshold >= 0 && std::isfinite(threshold), kThresholdsKey, threshold,
            "finite numbers of at least 0");
  }
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
