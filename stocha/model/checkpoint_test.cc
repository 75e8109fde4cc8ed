#include "stocha/model/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/model/testing.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

ModelConfig TinyConfig() {
  ModelConfig config;
  config.vocab_size = 10;
  config.hidden_size = 8;
  config.intermediate_size = 12;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 4;
  config.bos_token_id = 1;
  config.eos_token_ids = {2, 3};
  return config;
}

// The weights of a config, all equal to `value`.
struct Weights {
  explicit Weights(const ModelConfig& config, float value = 1) {
    int64_t largest = 0;
    const std::vector<TensorSpec> specs = ListTensors(config);
    for (const TensorSpec& spec : specs) largest = std::max(largest, spec.num_elements());
    values.assign(static_cast<size_t>(largest), value);
    for (const TensorSpec& spec : specs) {
      const auto bytes = std::as_bytes(std::span(values));
      tensors.push_back(
          {spec.name,
           {DType::kF32, spec.shape, bytes.first(static_cast<size_t>(spec.num_elements()) * 4)}});
    }
  }
  std::vector<float> values;
  std::vector<NamedTensor> tensors;
};

class CheckpointTest : public FolderTest {
 protected:
  // How many entries the folder has: temporaries left behind would count.
  int64_t Entries() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }
};

TEST_F(CheckpointTest, WhatIsWrittenOpensTheSame) {
  const ModelConfig config = TinyConfig();
  const Weights weights(config, 2.5F);
  const fs::path tokenizer = folder_ / "source" / "tokenizer.json";
  fs::create_directories(tokenizer.parent_path());
  WriteFile(tokenizer, "{}");
  WriteFile(tokenizer.parent_path() / "tokenizer_config.json", "{\"a\": 1}");
  WriteFile(tokenizer.parent_path() / "chat_template.jinja", "{{ text }}");
  WriteCheckpoint(folder_ / "new" / "model", config, weights.tensors, tokenizer);

  const Checkpoint checkpoint = OpenCheckpoint(folder_ / "new" / "model");
  EXPECT_EQ(checkpoint.config, config);
  EXPECT_TRUE(checkpoint.has_tokenizer());
  EXPECT_EQ(ReadFile(checkpoint.tokenizer_path()), "{}");
  EXPECT_EQ(ReadFile(checkpoint.directory / "tokenizer_config.json"), "{\"a\": 1}");
  EXPECT_EQ(ReadFile(checkpoint.directory / "chat_template.jinja"), "{{ text }}");
  for (const TensorSpec& spec : ListTensors(config)) {
    const std::vector<float> values = ToFloat32(checkpoint.Get(spec), spec.name);
    EXPECT_EQ(values, std::vector<float>(static_cast<size_t>(spec.num_elements()), 2.5F));
  }
  const Json generation = Json::parse(ReadFile(checkpoint.directory / "generation_config.json"));
  EXPECT_EQ(generation["bos_token_id"], 1);
  EXPECT_EQ(generation["eos_token_id"], (std::vector<int>{2, 3}));
}

TEST_F(CheckpointTest, ReplacesAnOldModelButNothingElse) {
  const ModelConfig config = TinyConfig();
  const fs::path model = folder_ / "model";
  WriteCheckpoint(model, config, Weights(config, 1).tensors, {});
  WriteCheckpoint(model, config, Weights(config, 2).tensors, {});
  const TensorSpec norm = {"model.norm.weight", {8}, TensorRole::kFinalNorm, -1};
  EXPECT_EQ(ToFloat32(OpenCheckpoint(model).Get(norm), "norm")[0], 2);
  EXPECT_FALSE(OpenCheckpoint(model).has_tokenizer());

  const fs::path other = folder_ / "photos";
  fs::create_directories(other);
  WriteFile(other / "cat.jpg", "meow");
  const Weights weights(config);
  EXPECT_NE(MessageOf([&] {
              WriteCheckpoint(other, config, weights.tensors, {});
            }).find("a folder with other files"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] {
              WriteCheckpoint(other / "cat.jpg", config, weights.tensors, {});
            }).find("got a file"),
            std::string::npos);
  EXPECT_EQ(ReadFile(other / "cat.jpg"), "meow");
  EXPECT_EQ(Entries(), 2);
}

TEST_F(CheckpointTest, TheWriterChecksItsInput) {
  const ModelConfig config = TinyConfig();
  const fs::path model = folder_ / "model";
  const auto error = [&](const auto& change) {
    ModelConfig changed = config;
    Weights weights(config);
    change(&changed, &weights.tensors);
    return MessageOf([&] { WriteCheckpoint(model, changed, weights.tensors, {}); });
  };
  EXPECT_NE(error([](auto*, auto* tensors) { tensors->pop_back(); }).find("lm_head"),
            std::string::npos);
  EXPECT_NE(error([](auto*, auto* tensors) {
              tensors->push_back(tensors->front());
            }).find("tensors to write"),
            std::string::npos);
  EXPECT_NE(error([](auto*, auto* tensors) {
              (*tensors)[0].tensor.shape = {8, 10};
            }).find("got F32 [8,10], expected F32, BF16 or F16 [10,8]"),
            std::string::npos);
  EXPECT_NE(error([](auto* c, auto*) { c->dtype = DType::kBF16; }).find("expected BF16"),
            std::string::npos);
  EXPECT_NE(error([](auto* c, auto*) { c->head_dim = 0; }).find("head_dim"), std::string::npos);
  const Weights weights(config);
  EXPECT_NE(MessageOf([&] {
              WriteCheckpoint(model, config, weights.tensors, folder_ / "none.json");
            }).find("none.json"),
            std::string::npos);
  EXPECT_EQ(Entries(), 0);
}

TEST_F(CheckpointTest, RefusesConfigAndTensorsThatContradictEachOther) {
  const ModelConfig config = TinyConfig();
  const fs::path model = folder_ / "model";
  WriteCheckpoint(model, config, Weights(config).tensors, {});
  const auto error = [&](const auto& change) {
    ModelConfig changed = config;
    change(&changed);
    WriteFile(model / "config.json", ModelConfigToJson(changed));
    return MessageOf([&] { OpenCheckpoint(model); });
  };
  EXPECT_EQ(error([](ModelConfig*) {}), "");
  EXPECT_NE(error([](ModelConfig* c) { c->num_hidden_layers = 2; }).find("model.layers.1."),
            std::string::npos);
  EXPECT_NE(error([](ModelConfig* c) { c->vocab_size = 11; }).find("got F32 [10,8], expected"),
            std::string::npos);
  EXPECT_NE(error([](ModelConfig* c) {
              c->architecture = Architecture::kQwen2;
            }).find("q_proj.bias\": got nothing"),
            std::string::npos);
  // A head stored beside a tied embedding is ignored, as transformers does.
  EXPECT_EQ(error([](ModelConfig* c) { c->tie_word_embeddings = true; }), "");
  // The type is taken from the weights.
  EXPECT_EQ(error([](ModelConfig* c) { c->dtype = DType::kBF16; }), "");
  EXPECT_EQ(OpenCheckpoint(model).config.dtype, DType::kF32);
}

TEST_F(CheckpointTest, RefusesUnexpectedTensors) {
  const ModelConfig config = TinyConfig();
  const fs::path model = folder_ / "model";
  Weights weights(config);
  WriteCheckpoint(model, config, weights.tensors, {});
  const TensorView norm = {
      DType::kF32, {8}, std::as_bytes(std::span(weights.values)).first(size_t{8} * 4)};
  weights.tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", norm});
  WriteSafetensors(model / "model.safetensors", weights.tensors);
  EXPECT_EQ(MessageOf([&] { OpenCheckpoint(model); }), "");
  weights.tensors.push_back({"model.layers.0.self_attn.q_norm.weight", norm});
  WriteSafetensors(model / "model.safetensors", weights.tensors);
  EXPECT_NE(MessageOf([&] { OpenCheckpoint(model); }).find("q_norm.weight\": got F32 [8]"),
            std::string::npos);
}

TEST_F(CheckpointTest, SaysWhichFileIsMissing) {
  EXPECT_NE(MessageOf([&] { OpenCheckpoint(folder_ / "none"); }).find("nothing there"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { OpenCheckpoint(folder_); }).find("config.json: cannot open"),
            std::string::npos);
  WriteFile(folder_ / "config.json", ModelConfigToJson(TinyConfig()));
  EXPECT_NE(MessageOf([&] { OpenCheckpoint(folder_); }).find("no weights"), std::string::npos);
}

}  // namespace
}  // namespace stocha
