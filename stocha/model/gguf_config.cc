#include "stocha/model/gguf_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/model/config_fields.h"
#include "stocha/model/ggml_blocks.h"

namespace stocha {
namespace {

// Keys below "ARCHITECTURE." that are understood, or change nothing.
constexpr std::array<std::string_view, 19> kKnownKeys = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "vocab_size",
};

// Decimal numbers were rounded to float32 on the way into the file: 1e-05 is meant by
// 9.99999974737875e-06.
double ShortestDecimal(double value) {
  std::array<char, 32> text{};
  const auto written =
      std::to_chars(text.data(), text.data() + text.size(), static_cast<float>(value));
  double decimal = value;
  std::from_chars(text.data(), written.ptr, decimal);
  return static_cast<float>(decimal) == static_cast<float>(value) ? decimal : value;
}

// Whether a value says that whatever its key is about is not used.
bool IsOff(const GgufValue& value) {
  return value == GgufValue(int64_t{0}) || value == GgufValue(0.0) || value == GgufValue(false) ||
         value == GgufValue(std::string("none"));
}

class ConfigReader {
 public:
  ConfigReader(const GgufContent& content, std::string_view where)
      : content_(content), where_(where), prefix_(ArchitectureName() + ".") {}

  ModelConfig Read();

 private:
  const std::string& ArchitectureName() const {
    return GgufString(content_, "general.architecture", where_);
  }
  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }
  bool Has(std::string_view name) const { return content_.metadata.contains(Key(name)); }
  int64_t Integer(std::string_view name) const { return GgufInteger(content_, Key(name), where_); }
  int64_t IntegerOr(std::string_view name, int64_t fallback) const {
    return Has(name) ? Integer(name) : fallback;
  }
  double NumberOr(std::string_view name, double fallback) const {
    return Has(name) ? ShortestDecimal(GgufNumber(content_, Key(name), where_)) : fallback;
  }
  [[noreturn]] void Fail(const std::string& what, const std::string& got,
                         const std::string& expected) const {
    throw Error({.where = std::string(where_), .what = what, .got = got, .expected = expected});
  }

  Architecture ReadArchitecture() const;
  void RefuseTheUnknown() const;
  void ReadSizes(ModelConfig* config) const;
  void ReadRope(ModelConfig* config) const;
  void ReadRopeFactors(ModelConfig* config) const;
  void ReadSpecialTokens(ModelConfig* config) const;
  DType MatrixType() const;

  const GgufContent& content_;
  std::string_view where_;
  std::string prefix_;
};

Architecture ConfigReader::ReadArchitecture() const {
  const std::string& name = ArchitectureName();
  for (const ArchitectureInfo& info : kArchitectures) {
    if (name == info.model_type) return info.architecture;
  }
  Fail("architecture", "\"" + name + "\"", "llama, qwen2 or qwen3");
}

void ConfigReader::RefuseTheUnknown() const {
  if (content_.metadata.contains("split.count") &&
      GgufInteger(content_, "split.count", where_) > 1) {
    Fail("a part of a model", "one of several files", "a whole model; merge the parts first");
  }
  for (const auto& [key, value] : content_.metadata) {
    if (!key.starts_with(prefix_)) continue;
    const std::string_view name = std::string_view(key).substr(prefix_.size());
    if (std::ranges::find(kKnownKeys, name) != kKnownKeys.end()) continue;
    const bool is_causal = name == "attention.causal";
    if (is_causal ? value == GgufValue(true) : IsOff(value)) continue;
    Fail("metadata \"" + key + "\"", "a key that may ask for another computation",
         "a plain llama, qwen2 or qwen3");
  }
}

void ConfigReader::ReadSizes(ModelConfig* config) const {
  const GgufTensor* embedding = content_.Find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    Fail("tensor \"token_embd.weight\"", embedding == nullptr ? "nothing" : "another shape",
         "a matrix [vocabulary, hidden size]");
  }
  config->vocab_size = embedding->shape[0];
  if (IntegerOr("vocab_size", config->vocab_size) != config->vocab_size) {
    Fail("metadata \"" + Key("vocab_size") + "\"", std::to_string(Integer("vocab_size")),
         std::to_string(config->vocab_size) + ", as token_embd.weight has rows");
  }
  config->hidden_size = Integer("embedding_length");
  config->intermediate_size = Integer("feed_forward_length");
  config->num_hidden_layers = Integer("block_count");
  config->num_attention_heads = Integer("attention.head_count");
  config->num_key_value_heads = IntegerOr("attention.head_count_kv", config->num_attention_heads);
  config->max_position_embeddings = Integer("context_length");
  const int64_t per_head =
      config->num_attention_heads > 0 ? config->hidden_size / config->num_attention_heads : 0;
  config->head_dim = IntegerOr("attention.key_length", IntegerOr("rope.dimension_count", per_head));
  for (const char* name : {"attention.value_length", "rope.dimension_count"}) {
    if (IntegerOr(name, config->head_dim) == config->head_dim) continue;
    Fail("metadata \"" + Key(name) + "\"", std::to_string(Integer(name)),
         std::to_string(config->head_dim) + ", the size of a head");
  }
  config->rms_norm_eps =
      ShortestDecimal(GgufNumber(content_, Key("attention.layer_norm_rms_epsilon"), where_));
}

void ConfigReader::ReadRope(ModelConfig* config) const {
  config->rope_theta = NumberOr("rope.freq_base", 10000);
  if (NumberOr("rope.scaling.attn_factor", 1) != 1) {
    Fail("metadata \"" + Key("rope.scaling.attn_factor") + "\"", "another value", "1");
  }
  // Without a type, a factor means linear scaling; 0 and 1 mean none.
  const std::string type =
      Has("rope.scaling.type") ? GgufString(content_, Key("rope.scaling.type"), where_) : "linear";
  if (type == "none") return;
  if (type != "linear") {
    Fail("metadata \"" + Key("rope.scaling.type") + "\"", "\"" + type + "\"",
         "\"none\" or \"linear\"");
  }
  const double factor = NumberOr("rope.scaling.factor", NumberOr("rope.scale_linear", 1));
  if (factor == 0 || factor == 1) return;
  config->rope_scaling.type = RopeScaling::Type::kLinear;
  config->rope_scaling.factor = factor;
}

// The values of a small F32 tensor.
std::vector<double> Values(const GgufTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
  DequantizeBlocks(tensor.type, tensor.bytes, values);
  return {values.begin(), values.end()};
}

// What each frequency is divided by. Stored are the numbers alone, so Llama 3's known settings are
// tried until one gives them.
void ConfigReader::ReadRopeFactors(ModelConfig* config) const {
  constexpr std::string_view kName = "rope_freqs.weight";
  const GgufTensor* tensor = content_.Find(kName);
  if (tensor == nullptr) return;
  const std::string what = "tensor \"" + std::string(kName) + "\"";
  if (tensor->type != GgmlType::kF32 || tensor->num_elements() != config->head_dim / 2) {
    Fail(what,
         std::to_string(tensor->num_elements()) + " values of " +
             std::string(GgmlTypeName(tensor->type)),
         std::to_string(config->head_dim / 2) + " of F32");
  }
  const std::vector<double> factors = Values(*tensor);
  if (std::ranges::all_of(factors, [](double factor) { return factor == 1; })) return;
  if (config->rope_scaling.type != RopeScaling::Type::kNone) {
    Fail(what, "factors, and linear scaling", "one of them");
  }
  const std::vector<double> plain = RopeInverseFrequencies(*config);
  const double largest = *std::ranges::max_element(factors);
  for (const double factor : {largest, 8.0, 32.0}) {
    ModelConfig scaled = *config;
    scaled.rope_scaling = {.type = RopeScaling::Type::kLlama3,
                           .factor = factor,
                           .low_freq_factor = 1,
                           .high_freq_factor = 4,
                           .original_max_position_embeddings =
                               IntegerOr("rope.scaling.original_context_length", 8192)};
    if (!(factor > 1) || !std::isfinite(factor)) continue;
    const std::vector<double> expected = RopeInverseFrequencies(scaled);
    // The factors were computed from float32 frequencies: a few units in the last place, times the
    // slope of the blend.
    constexpr double kRounding = 4e-6;
    bool same = true;
    for (size_t i = 0; i < plain.size(); ++i) {
      same = same && std::abs(expected[i] / plain[i] - 1 / factors[i]) < kRounding;
    }
    if (!same) continue;
    config->rope_scaling = scaled.rope_scaling;
    return;
  }
  Fail(what, "factors of another kind", "those of Llama 3's RoPE scaling");
}

void ConfigReader::ReadSpecialTokens(ModelConfig* config) const {
  const auto id = [&](std::string_view name) -> std::optional<int64_t> {
    const std::string key = "tokenizer.ggml." + std::string(name);
    if (!content_.metadata.contains(key)) return std::nullopt;
    const int64_t value = GgufInteger(content_, key, where_);
    if (value < 0 || value >= config->vocab_size) {
      Fail("metadata \"" + key + "\"", std::to_string(value),
           "an id below " + std::to_string(config->vocab_size));
    }
    return value;
  };
  config->bos_token_id = id("bos_token_id");
  for (const char* name : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    const std::optional<int64_t> value = id(name);
    const bool known =
        value && std::ranges::find(config->eos_token_ids, *value) != config->eos_token_ids.end();
    if (value && !known) config->eos_token_ids.push_back(*value);
  }
}

DType ConfigReader::MatrixType() const {
  std::optional<GgmlType> type;
  for (const GgufTensor& tensor : content_.tensors) {
    if (tensor.shape.size() < 2) continue;
    if (type && *type != tensor.type) return DType::kF32;
    type = tensor.type;
  }
  if (type == GgmlType::kBF16) return DType::kBF16;
  return type == GgmlType::kF16 ? DType::kF16 : DType::kF32;
}

ModelConfig ConfigReader::Read() {
  ModelConfig config;
  config.architecture = ReadArchitecture();
  RefuseTheUnknown();
  config.activation = {.kind = ActivationKind::kSilu};
  config.tie_word_embeddings = content_.Find("output.weight") == nullptr;
  config.dtype = MatrixType();
  ReadSizes(&config);
  ReadRope(&config);
  ValidateModelConfig(config, where_);
  ReadRopeFactors(&config);
  ReadSpecialTokens(&config);
  return config;
}

}  // namespace

ModelConfig GgufModelConfig(const GgufContent& content, std::string_view where) {
  return ConfigReader(content, where).Read();
}

}  // namespace stocha
