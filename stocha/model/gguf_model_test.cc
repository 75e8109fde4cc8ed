#include "stocha/model/gguf_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// A model in memory: two heads of 4, all weights F32 and different.
class TinyGguf {
 public:
  explicit TinyGguf(const std::string& architecture) {
    const std::map<std::string, int64_t> sizes = {
        {"block_count", 1},          {"context_length", 16},      {"embedding_length", 8},
        {"feed_forward_length", 3},  {"attention.head_count", 2}, {"attention.head_count_kv", 1},
        {"attention.key_length", 4},
    };
    Set("general.architecture", architecture);
    const std::string prefix = architecture + ".";
    for (const auto& [key, size] : sizes) Set(prefix + key, size);
    Set(architecture + ".attention.layer_norm_rms_epsilon", static_cast<double>(1e-5F));
    AddTensor("token_embd.weight", {10, 8});
    AddTensor("output_norm.weight", {8});
    for (const char* norm : {"attn_norm", "ffn_norm"}) AddLayerTensor(norm, {8});
    AddLayerTensor("attn_q", {8, 8});
    AddLayerTensor("attn_k", {4, 8});
    AddLayerTensor("attn_v", {4, 8});
    AddLayerTensor("attn_output", {8, 8});
    for (const char* name : {"ffn_gate", "ffn_up"}) AddLayerTensor(name, {3, 8});
    AddLayerTensor("ffn_down", {8, 3});
    if (architecture != "qwen3") return;
    for (const char* norm : {"attn_q_norm", "attn_k_norm"}) AddLayerTensor(norm, {4});
  }

  void Set(const std::string& key, GgufValue value) { content_.metadata[key] = std::move(value); }
  void AddLayerTensor(const std::string& name, std::vector<int64_t> shape) {
    AddTensor("blk.0." + name + ".weight", std::move(shape));
  }
  void AddTensor(const std::string& name, std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t size : shape) count *= static_cast<size_t>(size);
    std::vector<float>& values = values_[name];
    for (size_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i));
    content_.index[name] = content_.tensors.size();
    content_.tensors.push_back({.name = name,
                                .type = GgmlType::kF32,
                                .shape = std::move(shape),
                                .bytes = std::as_bytes(std::span(values))});
  }
  std::vector<float>& values(const std::string& name) { return values_.at(name); }

  // Views into this.
  GgufModel Open() const { return GgufModel({.path = "f", .file = {}, .content = content_}); }
  std::string OpenError() const {
    try {
      Open();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

 private:
  GgufContent content_;
  std::map<std::string, std::vector<float>> values_;
};

TensorSpec SpecOf(const GgufModel& model, TensorRole role) {
  for (TensorSpec& spec : ListTensors(model.config())) {
    if (spec.role == role) return std::move(spec);
  }
  return {};
}

TEST(GgufModelTest, ReadsTheConfig) {
  TinyGguf gguf("llama");
  gguf.Set("llama.rope.freq_base", 100000.0);
  gguf.Set("llama.rope.scaling.type", std::string("linear"));
  gguf.Set("llama.rope.scaling.factor", 2.0);
  gguf.Set("tokenizer.ggml.bos_token_id", int64_t{1});
  gguf.Set("tokenizer.ggml.eos_token_id", int64_t{2});
  gguf.Set("tokenizer.ggml.eot_token_id", int64_t{3});
  gguf.Set("tokenizer.ggml.eom_token_id", int64_t{2});
  const ModelConfig config = gguf.Open().config();
  ModelConfig expected = {.architecture = Architecture::kLlama,
                          .vocab_size = 10,
                          .hidden_size = 8,
                          .intermediate_size = 3,
                          .num_hidden_layers = 1,
                          .num_attention_heads = 2,
                          .num_key_value_heads = 1,
                          .head_dim = 4,
                          .max_position_embeddings = 16,
                          .rms_norm_eps = 1e-5,
                          .rope_theta = 100000,
                          .rope_scaling = {.type = RopeScaling::Type::kLinear, .factor = 2},
                          .tie_word_embeddings = true,
                          .activation = {.kind = ActivationKind::kSilu},
                          .bos_token_id = 1,
                          .eos_token_ids = {2, 3}};
  EXPECT_EQ(config, expected);
  gguf.AddTensor("output.weight", {10, 8});
  expected.tie_word_embeddings = false;
  EXPECT_EQ(gguf.Open().config(), expected);
}

TEST(GgufModelTest, PutsRowsOfLlamaInOrder) {
  const TinyGguf llama_file("llama");
  const GgufModel llama = llama_file.Open();
  const std::vector<float> q = llama.Read(SpecOf(llama, TensorRole::kQuery));  // [8, 8]
  std::vector<float> rows(8);
  for (size_t row = 0; row < 8; ++row) rows[row] = q[row * 8] / 8;
  EXPECT_EQ(rows, (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  const std::vector<float> v = llama.Read(SpecOf(llama, TensorRole::kValue));
  EXPECT_EQ(v[8], 8);
  const TinyGguf qwen3_file("qwen3");
  const GgufModel qwen3 = qwen3_file.Open();
  EXPECT_EQ(qwen3.Read(SpecOf(qwen3, TensorRole::kQuery))[8], 8);
}

TEST(GgufModelTest, RecoversTheScalingOfLlama3) {
  TinyGguf gguf("llama");
  gguf.AddTensor("rope_freqs.weight", {2});
  gguf.values("rope_freqs.weight") = {1, 1};
  EXPECT_EQ(gguf.Open().config().rope_scaling, RopeScaling{});
  // A wavelength of 2 pi is short; at 500000^(1/2) times that, 8192 positions are 1.84 turns.
  gguf.Set("llama.rope.freq_base", 500000.0);
  ModelConfig scaled = gguf.Open().config();
  scaled.rope_scaling = {.type = RopeScaling::Type::kLlama3,
                         .factor = 32,
                         .low_freq_factor = 1,
                         .high_freq_factor = 4,
                         .original_max_position_embeddings = 8192};
  const double factor = std::pow(500000.0, -0.5) / RopeInverseFrequencies(scaled)[1];
  gguf.values("rope_freqs.weight") = {1, static_cast<float>(factor)};
  EXPECT_EQ(gguf.Open().config(), scaled);
  for (const float other : {static_cast<float>(factor) * 1.01F, 0.F, -1.F, NAN, INFINITY}) {
    gguf.values("rope_freqs.weight") = {1, other};
    EXPECT_NE(gguf.OpenError().find("\"rope_freqs.weight\": got factors of another kind"),
              std::string::npos)
        << other;
  }
}

TEST(GgufModelTest, RefusesWhatIsNotComputed) {
  const std::vector<std::tuple<std::string, GgufValue, const char*>> cases = {
      {"general.architecture", std::string("gemma"), "got \"gemma\", expected llama, qwen2 or"},
      {"general.architecture", int64_t{1}, "a string"},
      {"llama.expert_count", int64_t{8}, "\"llama.expert_count\""},
      {"llama.attention.causal", false, "\"llama.attention.causal\""},
      {"llama.attention.scale", 0.3, "\"llama.attention.scale\""},
      {"llama.rope.scaling.type", std::string("yarn"), "got \"yarn\""},
      {"llama.rope.scaling.attn_factor", 0.9, "attn_factor"},
      {"llama.rope.dimension_count", int64_t{2}, "got 2, expected 4"},
      {"llama.attention.value_length", int64_t{8}, "got 8, expected 4"},
      {"llama.vocab_size", int64_t{11}, "got 11, expected 10"},
      {"llama.block_count", int64_t{1} << 40, "num_hidden_layers"},
      {"llama.block_count", int64_t{2}, "\"blk.1.attn_norm.weight\": got nothing"},
      {"llama.attention.head_count", int64_t{0}, "num_attention_heads"},
      {"llama.embedding_length", int64_t{6}, "\"token_embd.weight\": got F32 [10,8]"},
      {"llama.feed_forward_length", GgufArray(std::vector<int64_t>{3}), "got an array"},
      {"llama.attention.layer_norm_rms_epsilon", NAN, "rms_norm_eps"},
      {"split.count", int64_t{3}, "a part of a model"},
      {"tokenizer.ggml.eos_token_id", int64_t{10}, "got 10, expected an id below 10"},
  };
  for (const auto& [key, value, needle] : cases) {
    TinyGguf gguf("llama");
    gguf.Set(key, value);
    const std::string message = gguf.OpenError();
    EXPECT_NE(message.find(needle), std::string::npos) << key << " -> " << message;
  }
  TinyGguf more("qwen2");
  EXPECT_NE(more.OpenError().find("\"blk.0.attn_q.bias\": got nothing"), std::string::npos);
  TinyGguf other("llama");
  other.AddTensor("blk.0.attn_q.bias", {8});
  EXPECT_NE(other.OpenError().find("no such tensor in this architecture"), std::string::npos);
}

}  // namespace
}  // namespace stocha
