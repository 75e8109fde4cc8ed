#include "stocha/model/tensors.h"

#include <utility>

namespace stocha {

ModelPart PartOf(TensorRole role) {
  switch (role) {
    case TensorRole::kEmbedding:
      return ModelPart::kEmbedding;
    case TensorRole::kQuery:
    case TensorRole::kKey:
    case TensorRole::kValue:
    case TensorRole::kQueryBias:
    case TensorRole::kKeyBias:
    case TensorRole::kValueBias:
    case TensorRole::kAttentionOutput:
      return ModelPart::kAttention;
    case TensorRole::kGate:
      return ModelPart::kGate;
    case TensorRole::kUp:
      return ModelPart::kUp;
    case TensorRole::kDown:
      return ModelPart::kDown;
    case TensorRole::kInputNorm:
    case TensorRole::kQueryNorm:
    case TensorRole::kKeyNorm:
    case TensorRole::kPostAttentionNorm:
    case TensorRole::kFinalNorm:
      return ModelPart::kNorms;
    case TensorRole::kHead:
      return ModelPart::kHead;
  }
  return ModelPart::kNorms;
}

std::string_view ModelPartName(ModelPart part) {
  switch (part) {
    case ModelPart::kEmbedding:
      return "embedding";
    case ModelPart::kAttention:
      return "attention";
    case ModelPart::kGate:
      return "gate";
    case ModelPart::kUp:
      return "up";
    case ModelPart::kDown:
      return "down";
    case ModelPart::kNorms:
      return "norms";
    case ModelPart::kHead:
      return "head";
  }
  return "";
}

int64_t TensorSpec::num_elements() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

std::vector<TensorSpec> ListTensors(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t intermediate = config.intermediate_size;
  std::vector<TensorSpec> list;
  const auto add = [&list](std::string name, std::vector<int64_t> shape, TensorRole role,
                           int layer = -1) {
    list.push_back({std::move(name), std::move(shape), role, layer});
  };

  add("model.embed_tokens.weight", {config.vocab_size, hidden}, TensorRole::kEmbedding);
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    const auto add_here = [&](std::string_view name, std::vector<int64_t> shape, TensorRole role) {
      add(prefix + std::string(name), std::move(shape), role, layer);
    };
    add_here("input_layernorm.weight", {hidden}, TensorRole::kInputNorm);
    add_here("self_attn.q_proj.weight", {config.q_size(), hidden}, TensorRole::kQuery);
    add_here("self_attn.k_proj.weight", {config.kv_size(), hidden}, TensorRole::kKey);
    add_here("self_attn.v_proj.weight", {config.kv_size(), hidden}, TensorRole::kValue);
    if (config.has_qkv_bias()) {
      add_here("self_attn.q_proj.bias", {config.q_size()}, TensorRole::kQueryBias);
      add_here("self_attn.k_proj.bias", {config.kv_size()}, TensorRole::kKeyBias);
      add_here("self_attn.v_proj.bias", {config.kv_size()}, TensorRole::kValueBias);
    }
    if (config.has_qk_norm()) {
      add_here("self_attn.q_norm.weight", {config.head_dim}, TensorRole::kQueryNorm);
      add_here("self_attn.k_norm.weight", {config.head_dim}, TensorRole::kKeyNorm);
    }
    add_here("self_attn.o_proj.weight", {hidden, config.q_size()}, TensorRole::kAttentionOutput);
    add_here("post_attention_layernorm.weight", {hidden}, TensorRole::kPostAttentionNorm);
    add_here("mlp.gate_proj.weight", {intermediate, hidden}, TensorRole::kGate);
    add_here("mlp.up_proj.weight", {intermediate, hidden}, TensorRole::kUp);
    add_here("mlp.down_proj.weight", {hidden, intermediate}, TensorRole::kDown);
  }
  add("model.norm.weight", {hidden}, TensorRole::kFinalNorm);
  if (!config.tie_word_embeddings) {
    add("lm_head.weight", {config.vocab_size, hidden}, TensorRole::kHead);
  }
  return list;
}

int64_t CountParameters(const ModelConfig& config) {
  int64_t count = 0;
  for (const TensorSpec& spec : ListTensors(config)) count += spec.num_elements();
  return count;
}

}  // namespace stocha
