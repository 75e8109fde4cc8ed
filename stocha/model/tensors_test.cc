#include "stocha/model/tensors.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {
namespace {

ModelConfig OddLlama() {
  ModelConfig config;
  config.vocab_size = 11;
  config.hidden_size = 6;
  config.intermediate_size = 7;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 3;
  config.num_key_value_heads = 1;
  config.head_dim = 4;
  return config;
}

std::map<std::string, std::vector<int64_t>> Shapes(const ModelConfig& config) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const TensorSpec& spec : ListTensors(config)) {
    EXPECT_TRUE(shapes.emplace(spec.name, spec.shape).second) << spec.name << " twice";
  }
  return shapes;
}

// Names and shapes as transformers 5.23 prints them:
//   for n, t in LlamaForCausalLM(LlamaConfig(vocab_size=11, hidden_size=6, intermediate_size=7,
//       num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, head_dim=4)
//       ).state_dict().items(): print(n, list(t.shape))
TEST(TensorsTest, ListsTheWeightsOfLlama) {
  const auto shapes = Shapes(OddLlama());
  EXPECT_EQ(shapes.size(), 2 + 2 * 9 + 1);
  const std::string layer = "model.layers.1.";
  EXPECT_EQ(shapes.at("model.embed_tokens.weight"), (std::vector<int64_t>{11, 6}));
  EXPECT_EQ(shapes.at(layer + "self_attn.q_proj.weight"), (std::vector<int64_t>{12, 6}));
  EXPECT_EQ(shapes.at(layer + "self_attn.k_proj.weight"), (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(shapes.at(layer + "self_attn.v_proj.weight"), (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(shapes.at(layer + "self_attn.o_proj.weight"), (std::vector<int64_t>{6, 12}));
  EXPECT_EQ(shapes.at(layer + "mlp.gate_proj.weight"), (std::vector<int64_t>{7, 6}));
  EXPECT_EQ(shapes.at(layer + "mlp.up_proj.weight"), (std::vector<int64_t>{7, 6}));
  EXPECT_EQ(shapes.at(layer + "mlp.down_proj.weight"), (std::vector<int64_t>{6, 7}));
  EXPECT_EQ(shapes.at(layer + "input_layernorm.weight"), std::vector<int64_t>{6});
  EXPECT_EQ(shapes.at(layer + "post_attention_layernorm.weight"), std::vector<int64_t>{6});
  EXPECT_EQ(shapes.at("model.norm.weight"), std::vector<int64_t>{6});
  EXPECT_EQ(shapes.at("lm_head.weight"), (std::vector<int64_t>{11, 6}));
}

TEST(TensorsTest, BiasesAreOfTheAttentionAndNormsAreNorms) {
  ModelConfig config = OddLlama();
  const auto parts = [&config](Architecture architecture) {
    config.architecture = architecture;
    std::map<std::string_view, int64_t> weights;
    for (const TensorSpec& spec : ListTensors(config)) {
      weights[ModelPartName(PartOf(spec.role))] += spec.num_elements();
    }
    return weights;
  };
  constexpr int64_t kLayers = 2;
  constexpr int64_t kFfn = kLayers * 6 * 7;
  const auto llama = parts(Architecture::kLlama);
  const std::map<std::string_view, int64_t> expected = {
      {"embedding", 66}, {"attention", kLayers * 6 * (12 + 4 + 4 + 12)},
      {"gate", kFfn},    {"up", kFfn},
      {"down", kFfn},    {"norms", kLayers * 2 * 6 + 6},
      {"head", 66}};
  EXPECT_EQ(llama, expected);
  EXPECT_EQ(parts(Architecture::kQwen2)["attention"] - llama.at("attention"),
            kLayers * (12 + 4 + 4));
  EXPECT_EQ(parts(Architecture::kQwen2)["norms"], llama.at("norms"));
  EXPECT_EQ(parts(Architecture::kQwen3)["attention"], llama.at("attention"));
  EXPECT_EQ(parts(Architecture::kQwen3)["norms"] - llama.at("norms"), kLayers * 2 * 4);
}

TEST(TensorsTest, QwenAddsBiasesOrNorms) {
  ModelConfig config = OddLlama();
  config.architecture = Architecture::kQwen2;
  auto shapes = Shapes(config);
  EXPECT_EQ(shapes.size(), 2 + 2 * 12 + 1);
  EXPECT_EQ(shapes.at("model.layers.0.self_attn.q_proj.bias"), std::vector<int64_t>{12});
  EXPECT_EQ(shapes.at("model.layers.0.self_attn.k_proj.bias"), std::vector<int64_t>{4});
  EXPECT_EQ(shapes.at("model.layers.0.self_attn.v_proj.bias"), std::vector<int64_t>{4});

  config.architecture = Architecture::kQwen3;
  shapes = Shapes(config);
  EXPECT_EQ(shapes.size(), 2 + 2 * 11 + 1);
  EXPECT_EQ(shapes.at("model.layers.1.self_attn.q_norm.weight"), std::vector<int64_t>{4});
  EXPECT_EQ(shapes.at("model.layers.1.self_attn.k_norm.weight"), std::vector<int64_t>{4});
}

TEST(TensorsTest, ATiedHeadCountsOnce) {
  ModelConfig config = OddLlama();
  EXPECT_EQ(CountParameters(config), 798);  // sum(p.numel() for p in the model above.parameters())
  config.tie_word_embeddings = true;
  EXPECT_EQ(CountParameters(config), 798 - 66);
  EXPECT_FALSE(Shapes(config).contains("lm_head.weight"));
}

TEST(TensorsTest, LayersAndRolesAreSet) {
  std::set<TensorRole> outside;
  for (const TensorSpec& spec : ListTensors(OddLlama())) {
    const bool in_layer = spec.name.find(".layers.") != std::string::npos;
    EXPECT_EQ(spec.layer >= 0, in_layer) << spec.name;
    if (in_layer) {
      EXPECT_NE(spec.name.find("layers." + std::to_string(spec.layer) + "."), std::string::npos);
    } else {
      outside.insert(spec.role);
    }
  }
  EXPECT_EQ(outside, (std::set<TensorRole>{TensorRole::kEmbedding, TensorRole::kFinalNorm,
                                           TensorRole::kHead}));
}

}  // namespace
}  // namespace stocha
