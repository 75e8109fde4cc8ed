// For tests: random models as packed files.
#ifndef STOCHA_ENGINE_PACKED_TESTING_H_
#define STOCHA_ENGINE_PACKED_TESTING_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/quantize.h"
#include "stocha/engine/random_model.h"

namespace stocha {

// Rows of whole blocks, of `hidden_size` a multiple of 32; more than one block of neurons.
inline ModelConfig BlockConfig(int64_t hidden_size, Architecture architecture) {
  ModelConfig config = SmallConfig(architecture);
  config.hidden_size = hidden_size;
  config.intermediate_size = kNeuronBlock + 21;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = hidden_size / 4;
  return config;
}

// A file that no other test has; removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name)
      : path_(::testing::TempDir() + "packed-" + std::to_string(getpid()) + "-" + name) {}
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline QuantizeSource SourceOf(const RandomModel& random) {
  const auto read = [&random](const TensorSpec& spec, int64_t first, int64_t count) {
    const std::vector<float> values = ToFloat32(random.tensor(spec.name), spec.name);
    const int64_t cols = spec.num_elements() / spec.shape[0];
    return std::vector<float>(values.begin() + first * cols,
                              values.begin() + (first + count) * cols);
  };
  return {.header = {.config = random.config(), .name = "random"}, .read = read};
}

inline std::vector<QuantizedPart> WritePacked(const QuantizeSource& source, QuantizeType type,
                                              const std::filesystem::path& path, int threads = 2,
                                              FfnLayout layout = FfnLayout::kNeurons) {
  ThreadPool pool(threads);
  return Quantize(source, type, layout, path, pool, [](int64_t) {});
}

// ||got - expected|| / ||expected||
inline double RelativeDifference(const std::vector<float>& got,
                                 const std::vector<float>& expected) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(double{got[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

// How a forward pass is divided.
struct Division {
  FfnMode mode = FfnMode::kDense;
  int threads = 1;
  size_t piece = 100;  // tokens a call
  Isa isa = SelectedIsa();
  QuantizedDepth depth = QuantizedDepth::kCoarse;  // these do change results
  PrefillMode prefill = PrefillMode::kExact;
};

// Of all tokens, [tokens, vocab_size].
inline std::vector<float> PackedLogits(const Model& model, const std::vector<int32_t>& ids,
                                       const std::string& activation, const Division& division) {
  const ModelConfig& config = model.config();
  ThreadPool pool(division.threads);
  Workspace workspace(config, &pool,
                      {.ffn_mode = division.mode,
                       .isa = division.isa,
                       .depth = division.depth,
                       .prefill = division.prefill});
  KvCache cache(config, static_cast<int64_t>(ids.size()));
  std::vector<float> logits(ids.size() * static_cast<size_t>(config.vocab_size));
  for (size_t begin = 0; begin < ids.size(); begin += division.piece) {
    const size_t count = std::min(division.piece, ids.size() - begin);
    const Step step = {.cache = &cache,
                       .tokens = std::span(ids).subspan(begin, count),
                       .activation = ParseActivation(activation, "test"),
                       .wanted = LogitsWanted::kAll,
                       .logits = logits.data() + begin * static_cast<size_t>(config.vocab_size)};
    model.Forward({&step, 1}, workspace);
  }
  return logits;
}

}  // namespace stocha

#endif  // STOCHA_ENGINE_PACKED_TESTING_H_
