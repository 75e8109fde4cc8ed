// For tests: a small model with random weights in memory.
#ifndef STOCHA_ENGINE_RANDOM_MODEL_H_
#define STOCHA_ENGINE_RANDOM_MODEL_H_

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/model.h"
#include "stocha/engine/weights.h"
#include "stocha/model/config.h"
#include "stocha/model/tensors.h"

namespace stocha {

// Odd sizes, more than one block of neurons and the last one not full, grouped queries.
inline ModelConfig SmallConfig(Architecture architecture = Architecture::kLlama) {
  return {.architecture = architecture,
          .vocab_size = 61,
          .hidden_size = 37,
          .intermediate_size = 2 * kNeuronBlock + 21,
          .num_hidden_layers = 2,
          .num_attention_heads = 6,
          .num_key_value_heads = 3,
          .head_dim = 10,
          .max_position_embeddings = 100,
          .tie_word_embeddings = architecture == Architecture::kQwen2};
}

// Owns the tensors that its model points into.
class RandomModel {
 public:
  explicit RandomModel(const ModelConfig& config, DType dtype = DType::kF32) : pool_(2) {
    std::mt19937 generator(7);
    for (const TensorSpec& spec : ListTensors(config)) {
      const bool norm = spec.shape.size() == 1;
      std::normal_distribution<float> normal(norm ? 1.0F : 0.0F, norm ? 0.2F : 0.3F);
      std::vector<std::byte>& bytes = storage_[spec.name];
      bytes.resize(static_cast<size_t>(spec.num_elements()) * DTypeSize(dtype));
      for (int64_t i = 0; i < spec.num_elements(); ++i) {
        const float value = normal(generator);
        if (dtype == DType::kF32) {
          reinterpret_cast<float*>(bytes.data())[i] = value;
        } else {
          reinterpret_cast<uint16_t*>(bytes.data())[i] = F32ToBF16(value);
        }
      }
      views_[spec.name] = {.dtype = dtype, .shape = spec.shape, .bytes = bytes};
    }
    model_ = std::make_unique<Model>(config, Source(), "random", pool_);
  }

  const Model& model() const { return *model_; }
  const ModelConfig& config() const { return model_->config(); }
  const TensorView& tensor(const std::string& name) const { return views_.at(name); }
  TensorSource Source() const {
    return [this](const TensorSpec& spec) -> const TensorView& { return views_.at(spec.name); };
  }

 private:
  ThreadPool pool_;
  std::map<std::string, std::vector<std::byte>> storage_;
  std::map<std::string, TensorView> views_;
  std::unique_ptr<Model> model_;
};

// `count` ids of the vocabulary.
inline std::vector<int32_t> RandomIds(const ModelConfig& config, int64_t count, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::vector<int32_t> ids;
  ids.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<int32_t>(generator() % static_cast<uint32_t>(config.vocab_size)));
  }
  return ids;
}

}  // namespace stocha

#endif  // STOCHA_ENGINE_RANDOM_MODEL_H_
