#include "stocha/model/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

Json SmallLlama() {
  return Json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "relu",
    "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2})");
}

ModelConfig Parse(const Json& json) { return ParseModelConfig(json.dump(), "config.json"); }

std::string ParseError(const Json& json) {
  try {
    Parse(json);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ConfigTest, FillsInTheDefaultsOfTransformers) {
  Json json = SmallLlama();
  json.erase("num_key_value_heads");
  json.erase("hidden_act");
  const ModelConfig llama = Parse(json);
  EXPECT_EQ(llama.num_key_value_heads, 4);
  EXPECT_EQ(llama.head_dim, 8);
  EXPECT_EQ(llama.max_position_embeddings, 2048);
  EXPECT_EQ(llama.rms_norm_eps, 1e-6);
  EXPECT_EQ(llama.rope_theta, 10000);
  EXPECT_EQ(llama.rope_scaling, RopeScaling{});
  EXPECT_FALSE(llama.tie_word_embeddings);
  EXPECT_EQ(llama.dtype, DType::kF32);
  EXPECT_EQ(llama.activation.kind, ActivationKind::kSilu);
  EXPECT_EQ(llama.bos_token_id, 1);
  EXPECT_EQ(llama.eos_token_ids, std::vector<int64_t>{2});

  json["model_type"] = "qwen3";
  json["architectures"] = {"Qwen3ForCausalLM"};
  json["num_attention_heads"] = 64;
  const ModelConfig qwen3 = Parse(json);
  EXPECT_EQ(qwen3.num_key_value_heads, 32);
  EXPECT_EQ(qwen3.head_dim, 128);
  EXPECT_EQ(qwen3.max_position_embeddings, 32768);
  EXPECT_EQ(qwen3.bos_token_id, std::nullopt);
  EXPECT_TRUE(qwen3.eos_token_ids.empty());
}

TEST(ConfigTest, ReadsBothSpellingsOfRopeAndDType) {
  Json v4 = SmallLlama();
  v4["rope_theta"] = 500000;
  v4["torch_dtype"] = "bfloat16";
  v4["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  Json v5 = SmallLlama();
  v5["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 500000.0}};
  v5["dtype"] = "bfloat16";
  EXPECT_EQ(Parse(v4), Parse(v5));
  EXPECT_EQ(Parse(v4).rope_theta, 500000);
  EXPECT_EQ(Parse(v4).rope_scaling.type, RopeScaling::Type::kLinear);
  EXPECT_EQ(Parse(v4).dtype, DType::kBF16);

  Json llama3 = SmallLlama();
  llama3["max_position_embeddings"] = 4096;
  llama3["rope_scaling"] = {
      {"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}};
  EXPECT_EQ(Parse(llama3).rope_scaling.original_max_position_embeddings, 4096);
}

TEST(ConfigTest, ReadsNoOneOrSeveralEosTokens) {
  Json json = SmallLlama();
  json["eos_token_id"] = nullptr;
  EXPECT_TRUE(Parse(json).eos_token_ids.empty());
  json["eos_token_id"] = 5;
  EXPECT_EQ(Parse(json).eos_token_ids, std::vector<int64_t>{5});
  json["eos_token_id"] = {5, 7};
  EXPECT_EQ(Parse(json).eos_token_ids, (std::vector<int64_t>{5, 7}));
  json["eos_token_id"] = {5, "x"};
  EXPECT_NE(ParseError(json).find("eos_token_id"), std::string::npos);
}

TEST(ConfigTest, WhatIsWrittenReadsBackTheSame) {
  ModelConfig config = Parse(SmallLlama());
  for (const Architecture architecture :
       {Architecture::kLlama, Architecture::kQwen2, Architecture::kQwen3}) {
    config.architecture = architecture;
    for (const char* activation :
         {"relu", "silu", "relu2", "stocha:0.7,smooth,token", "expected:0.25"}) {
      config.activation = ParseActivation(activation, "test");
      config.dtype = DType::kF16;
      config.rope_theta = 1e6;
      config.rope_scaling = {.type = RopeScaling::Type::kLlama3, .factor = 8};
      config.bos_token_id = std::nullopt;
      config.eos_token_ids = {3, 4};
      EXPECT_EQ(ParseModelConfig(ModelConfigToJson(config), "x"), config);
      config.rope_scaling = {.type = RopeScaling::Type::kLinear, .factor = 2.5};
      config.bos_token_id = 0;
      config.eos_token_ids = {};
      EXPECT_EQ(ParseModelConfig(ModelConfigToJson(config), "x"), config);
    }
  }
}

TEST(ConfigTest, OnlyPlainActivationsKeepThePlainArchitecture) {
  ModelConfig config = Parse(SmallLlama());
  Json json = Json::parse(ModelConfigToJson(config));
  EXPECT_EQ(json["architectures"], Json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(json["model_type"], "llama");
  EXPECT_EQ(json["hidden_act"], "relu");

  config.activation = StochasticActivation(0.7);
  json = Json::parse(ModelConfigToJson(config));
  EXPECT_EQ(json["architectures"], Json::array({"StochaForCausalLM"}));
  EXPECT_EQ(json["model_type"], "stocha");
  EXPECT_EQ(json["base_model_type"], "llama");
  EXPECT_EQ(json["activation"], "stocha:0.7");
  EXPECT_FALSE(json.contains("hidden_act"));
  EXPECT_FALSE(json.contains("stocha_thresholds"));
}

TEST(ConfigTest, ThresholdsAreStochasAlone) {
  ModelConfig config = Parse(SmallLlama());
  config.thresholds.assign(static_cast<size_t>(config.num_hidden_layers), 0.1F);
  config.thresholds[0] = 0;
  const std::string text = ModelConfigToJson(config);
  EXPECT_EQ(ParseModelConfig(text, "x"), config);
  Json json = Json::parse(text);
  EXPECT_EQ(json["architectures"], Json::array({"StochaForCausalLM"}));
  EXPECT_EQ(json["activation"], "relu");
  const auto refused = [&](const Json& value, const std::string& needle) {
    json["stocha_thresholds"] = value;
    const std::string message = ParseError(json);
    EXPECT_NE(message.find("stocha_thresholds"), std::string::npos) << message;
    EXPECT_NE(message.find(needle), std::string::npos) << message;
  };
  refused(Json::array({0.5}), "one for each of");
  refused(Json::array(), "one number for each layer");
  refused(3, "an array");
  refused(std::vector<double>(config.thresholds.size(), -0.5), "at least 0");
  refused(std::vector<double>(config.thresholds.size(), 1e300), "finite");
  refused(std::vector<std::string>(config.thresholds.size(), "1"), "numbers");
  // Any other loader would take this model, and pass them over.
  json = SmallLlama();
  refused(std::vector<double>(config.thresholds.size(), 0.5), R"("model_type": "stocha")");
}

struct Refused {
  const char* key;
  const char* value;   // JSON; null removes the key
  const char* needle;  // what the message must say
};

TEST(ConfigTest, RefusesWhatIsNotComputedOrMakesNoSense) {
  const std::vector<Refused> cases = {
      {"model_type", R"("mistral")",
       "got \"mistral\", expected one of llama, qwen2, qwen3, stocha"},
      {"architectures", R"(["LlamaModel"])", "LlamaForCausalLM"},
      {"architectures", R"(["StochaForCausalLM"])", "\"model_type\""},
      {"architectures", R"([])", "one class name"},
      {"architectures", R"("LlamaForCausalLM")", "an array"},
      {"hidden_act", R"("gelu")", "got \"gelu\", expected relu, silu or relu2"},
      {"hidden_act", "3", "a string"},
      {"rope_scaling", R"({"rope_type": "yarn", "factor": 2})", "got \"yarn\""},
      {"rope_scaling", R"({"type": "dynamic", "factor": 2})", "\"rope_scaling.type\""},
      {"rope_scaling", R"({"rope_type": "linear"})", "\"rope_scaling.factor\": got nothing"},
      {"rope_scaling", R"({"rope_type": "linear", "factor": 0})", "above 0"},
      {"rope_scaling",
       R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})",
       "above low_freq_factor"},
      {"rope_scaling", "7", "an object"},
      {"rope_parameters", R"({"full_attention": {"rope_theta": 1.0}})", "nested"},
      {"rope_parameters", R"({"partial_rotary_factor": 0.5})", "got 0.5, expected 1"},
      {"rope_theta", "0", "above 0"},
      {"rope_theta", R"("x")", "a number"},
      {"partial_rotary_factor", "0.5", "got 0.5, expected 1"},
      {"mlp_bias", "true", "got true, expected false"},
      {"attention_bias", "true", "got true, expected false"},
      {"use_sliding_window", "true", "got true, expected false"},
      {"layer_types", R"(["full_attention", "sliding_attention"])", "full_attention in every"},
      {"quantization_config", R"({"bits": 4})", "no quantised weights"},
      {"pretraining_tp", "2", "got 2, expected 1"},
      {"dtype", R"("float8_e4m3fn")", "float32, bfloat16 or float16"},
      {"vocab_size", "null", "\"vocab_size\": got nothing"},
      {"vocab_size", "0", "from 1"},
      {"vocab_size", "100.0", "an integer"},
      {"vocab_size", "18446744073709551615", "an integer"},
      {"hidden_size", "-32", "from 1"},
      {"hidden_size", "1000000000000", "from 1 to 1048576"},
      {"hidden_size", "30", "a divisor of hidden_size = 30"},
      {"hidden_size", "12", "\"head_dim\": got 3, expected an even number"},
      {"num_hidden_layers", "1000000", "\"num_hidden_layers\""},
      {"num_key_value_heads", "3", "a divisor of num_attention_heads = 4"},
      {"num_key_value_heads", "8", "a divisor of num_attention_heads = 4"},
      {"head_dim", "16384", ""},
      {"head_dim", "7", "an even number"},
      {"max_position_embeddings", "0", "from 1"},
      {"rms_norm_eps", "0", "between 0 and 1"},
      {"rms_norm_eps", R"("1e-6")", "a number"},
      {"tie_word_embeddings", "1", "true or false"},
      {"bos_token_id", "-1", "from 0"},
      {"bos_token_id", "[1, 2]", "one token id"},
  };
  for (const Refused& refused : cases) {
    Json json = SmallLlama();
    json[refused.key] = Json::parse(refused.value);
    const std::string message = ParseError(json);
    if (std::string_view(refused.needle).empty()) {
      EXPECT_EQ(message, "");
      continue;
    }
    EXPECT_TRUE(message.starts_with("config.json: key \"")) << refused.key << ": " << message;
    EXPECT_NE(message.find(refused.needle), std::string::npos)
        << refused.key << " = " << refused.value << ": " << message;
  }
}

TEST(ConfigTest, RefusesAStochasticModelThatDoesNotSayWhich) {
  Json json = Json::parse(ModelConfigToJson([] {
    ModelConfig config = Parse(SmallLlama());
    config.activation = StochasticActivation(0.5);
    return config;
  }()));
  EXPECT_EQ(ParseError(json), "");
  for (const char* key : {"base_model_type", "activation"}) {
    Json broken = json;
    broken[key] = "unheard of";
    EXPECT_NE(ParseError(broken).find(key), std::string::npos) << ParseError(broken);
    broken.erase(key);
    EXPECT_NE(ParseError(broken).find(key), std::string::npos) << ParseError(broken);
  }
}

// Known answers of transformers 5.23, LlamaRotaryEmbedding(LlamaConfig(hidden_size=32,
// num_attention_heads=2, head_dim=16, rope_parameters={...})).inv_freq, which is float32.
TEST(ConfigTest, RopeFrequenciesEqualTransformers) {
  ModelConfig config = Parse(SmallLlama());
  config.head_dim = 16;
  const auto expect = [&config](const std::vector<double>& expected) {
    const std::vector<double> got = RopeInverseFrequencies(config);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i] / expected[i], 1, 3e-7) << i;
  };
  expect({1, 0.316227764, 0.100000001, 0.0316227786, 0.00999999978, 0.00316227786, 0.00100000005,
          0.000316227786});
  config.rope_scaling = {.type = RopeScaling::Type::kLinear, .factor = 4};
  expect({0.25, 0.079056941, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466,
          0.000250000012, 7.90569466e-05});
  config.rope_theta = 500000;
  config.rope_scaling = {.type = RopeScaling::Type::kLlama3, .factor = 8};
  expect({1, 0.193922758, 0.0376060307, 0.00729266508, 0.000524846022, 3.42810235e-05,
          6.64786967e-06, 1.28917316e-06});
}

}  // namespace
}  // namespace stocha
