// A model directory as Hugging Face lays it out: config.json, model.safetensors (or an index with
// shards), tokenizer.json, generation_config.json.
#ifndef STOCHA_MODEL_CHECKPOINT_H_
#define STOCHA_MODEL_CHECKPOINT_H_

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "stocha/model/config.h"
#include "stocha/model/safetensors.h"
#include "stocha/model/tensors.h"

namespace stocha {

// A checkpoint opened for reading: every tensor of ListTensors(config) is there with its shape and
// a type of F32, BF16 or F16. Immutable, thread-safe; owns the mappings.
struct Checkpoint {
  std::filesystem::path directory;
  ModelConfig config;
  SafetensorsReader weights;

  // The view of one tensor of ListTensors(config).
  const TensorView& Get(const TensorSpec& spec) const;
  bool has_tokenizer() const {
    std::error_code ignored;
    return std::filesystem::exists(tokenizer_path(), ignored);
  }
  std::filesystem::path tokenizer_path() const { return directory / "tokenizer.json"; }
};

// Throws Error when the folder or a file is missing, when config and tensors contradict each other
// (missing, unexpected, of another shape or type). A stored head equal in name to a tied one
// ("lm_head.weight" with tie_word_embeddings) and rotary inv_freq buffers are ignored. config.dtype
// is that of the embedding as stored.
Checkpoint OpenCheckpoint(const std::filesystem::path& directory);

// The bytes of one tensor of ListTensors(config), in config.dtype; read before the next call.
using WeightSource = std::function<std::span<const std::byte>(const TensorSpec&)>;

// Writes a whole model directory aside and renames it; an old model directory is replaced, any
// other folder with files in it is refused. Weights are asked for one at a time. `files`: name and
// content of what is to stand beside them, e.g. "tokenizer.json".
void WriteCheckpoint(const std::filesystem::path& directory, const ModelConfig& config,
                     const WeightSource& source, const std::map<std::string, std::string>& files);

// The same with all weights in memory: `tensors` must be those of ListTensors(config), by name and
// shape, all of config.dtype. `tokenizer`, a tokenizer.json (empty: none), is copied, and what
// stands beside it of tokenizer_config.json and chat_template.jinja.
void WriteCheckpoint(const std::filesystem::path& directory, const ModelConfig& config,
                     std::span<const NamedTensor> tensors, const std::filesystem::path& tokenizer);

}  // namespace stocha

#endif  // STOCHA_MODEL_CHECKPOINT_H_
