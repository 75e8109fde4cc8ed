// A packed model: one GGUF of architecture "stocha" that is mapped and used as it is, with no copy
// and no repacking. `stocha quantize` writes it (quantize.h).
//
//   general.architecture     "stocha"
//   general.name             of the model
//   stocha.version           kPackedVersion; a file of another one is refused
//   stocha.type              what was asked for: "q8_0", "mixed" ...
//   stocha.config            the text of config.json, without thresholds
//   stocha.tokenizer         that of tokenizer.json; absent when the model has none, as the next
//   stocha.tokenizer_config  that of tokenizer_config.json
//   tokenizer.chat_template  the text of the chat template, wherever the model had it; optional
//   stocha.formats           an array of strings, the format of each tensor
//   stocha.thresholds        an array of numbers, ModelConfig::thresholds; optional
//   stocha.neuron_order      "hot first", of neurons that `stocha calibrate` ordered; else absent
//   stocha.neuron_fired      with it: an array of numbers, PackedHeader::fired
//
// The tensors are those of packed_tensors.h, rows as in kernels/packed.h: for `dot`, the rows of
// down for `axpy`. A head tied to the embedding is not stored twice.
#ifndef STOCHA_ENGINE_PACKED_MODEL_H_
#define STOCHA_ENGINE_PACKED_MODEL_H_

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/engine/packed_tensors.h"
#include "stocha/engine/weights.h"
#include "stocha/model/config.h"
#include "stocha/model/gguf.h"
#include "stocha/model/tensors.h"

namespace stocha {

inline constexpr std::string_view kPackedArchitecture = "stocha";
inline constexpr int64_t kPackedVersion = 2;
inline constexpr std::string_view kHotFirst = "hot first";
inline constexpr size_t kFiredParts = 10;

// What a file says beside its tensors.
struct PackedHeader {
  ModelConfig config;
  std::string name;
  std::string type;
  std::string tokenizer;         // empty: none, as the next
  std::string tokenizer_config;  // without a tokenizer: none
  std::string chat_template;     // Jinja; likewise
  // Neurons that are ordered from hot to cold: of each tenth of a layer's, the fraction that fired,
  // [layers, kFiredParts]. Empty where they stand as they were trained.
  std::vector<float> fired;
  FfnLayout layout = FfnLayout::kNeurons;  // the tensors tell
};

// Points into the content that it was parsed from.
struct PackedModel {
  PackedHeader header;
  std::vector<PackedTensor> tensors;  // in the order of ListPackedTensors
  Weights weights;
};

// A pure function: the fuzz target. Throws Error, `where` at its head, on another architecture, a
// newer version, tensors or formats that are not those that the config asks for.
PackedModel ParsePackedModel(const GgufContent& content, std::string_view where);

// A mapped file and its model; movable, the weights stay valid.
struct PackedModelFile {
  GgufFile file;
  PackedModel model;

  // Throws Error: what GgufFile::Open and ParsePackedModel throw. Reads no weight but norms and
  // biases.
  static PackedModelFile Open(const std::filesystem::path& path);
};

// The metadata of a file with these tensors.
std::map<std::string, GgufValue, std::less<>> PackedMetadata(
    const PackedHeader& header, const std::vector<PackedTensor>& tensors);

// Rows first .. first + count - 1 of a tensor of ListTensors as floats, [count, columns]; `weights`
// may be those of a model directory too.
std::vector<float> UnpackRows(const Weights& weights, const TensorSpec& spec, int64_t first,
                              int64_t count);

}  // namespace stocha

#endif  // STOCHA_ENGINE_PACKED_MODEL_H_
