// A GGUF of architecture llama, qwen2 or qwen3 as a model: its config, and the weights of
// ListTensors(config) as float32, one at a time, so that a model larger than memory can be walked.
#ifndef STOCHA_MODEL_GGUF_MODEL_H_
#define STOCHA_MODEL_GGUF_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "stocha/model/config.h"
#include "stocha/model/gguf.h"
#include "stocha/model/tensors.h"

namespace stocha {

// What GGUF calls a tensor: "blk.3.ffn_gate.weight".
std::string GgufTensorName(const TensorSpec& spec);

// Throws Error unless `content` holds the tensors of ListTensors(config), each with its shape and
// of a type that has values, and nothing else but rope_freqs.weight.
void CheckGgufTensors(const GgufContent& content, const ModelConfig& config,
                      std::string_view where);

// Immutable, thread-safe; owns the mapping.
class GgufModel {
 public:
  // Throws Error on a broken file and on a model that is not computed here.
  static GgufModel Open(const std::filesystem::path& path) {
    return GgufModel(GgufFile::Open(path));
  }
  explicit GgufModel(GgufFile file);

  const ModelConfig& config() const { return config_; }
  const GgufFile& file() const { return file_; }

  // One tensor of ListTensors(config()) as stored. The rows of q and k lie in the file's order,
  // which Read() puts right.
  const GgufTensor& Stored(const TensorSpec& spec) const;

  // Its values in Hugging Face's order of rows.
  std::vector<float> Read(const TensorSpec& spec) const;
  // Rows first .. first + count - 1 of a matrix, likewise.
  std::vector<float> ReadRows(const TensorSpec& spec, int64_t first, int64_t count) const;

 private:
  GgufFile file_;
  ModelConfig config_;
};

}  // namespace stocha

#endif  // STOCHA_MODEL_GGUF_MODEL_H_
