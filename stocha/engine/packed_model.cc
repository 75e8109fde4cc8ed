#include "stocha/engine/packed_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/base/memory.h"

namespace stocha {
namespace {

constexpr const char* kArchitectureKey = "general.architecture";
constexpr const char* kNameKey = "general.name";
constexpr const char* kVersionKey = "stocha.version";
constexpr const char* kTypeKey = "stocha.type";
constexpr const char* kConfigKey = "stocha.config";
constexpr const char* kTokenizerKey = "stocha.tokenizer";
constexpr const char* kTokenizerConfigKey = "stocha.tokenizer_config";
constexpr const char* kChatTemplateKey = "tokenizer.chat_template";  // as GGUF has it
constexpr const char* kFormatsKey = "stocha.formats";
constexpr const char* kThresholdsKey = "stocha.thresholds";
constexpr const char* kNeuronOrderKey = "stocha.neuron_order";
constexpr const char* kNeuronFiredKey = "stocha.neuron_fired";

// Of memory that a file is larger than, left to everything but weights.
constexpr int64_t kSpareShare = 16;
constexpr int64_t kSpareBytes = int64_t{24} << 20;

GgufArray Doubles(const std::vector<float>& values) {
  return std::vector<double>(values.begin(), values.end());
}

std::string Describe(const GgufTensor* tensor) {
  if (tensor == nullptr) return "nothing";
  return std::string(GgmlTypeName(tensor->type)) + " " + Json(tensor->shape).dump();
}

class Reader {
 public:
  Reader(const GgufContent& content, std::string_view where) : content_(content), where_(where) {}

  PackedModel Read() {
    CheckVersion();
    PackedModel model = {.header = ReadHeader(), .tensors = {}, .weights = {}};
    const ModelConfig& config = model.header.config;
    formats_ = &Array<std::string>(kFormatsKey);
    if (formats_->size() != content_.tensors.size()) {
      Fail(kFormatsKey, std::to_string(formats_->size()),
           "one of each tensor, " + std::to_string(content_.tensors.size()));
    }
    if (content_.Find(NeuronsName(0)) == nullptr) layout_ = FfnLayout::kRows;
    model.header.layout = layout_;
    model.tensors =
        ListPackedTensors(config, [this](const TensorSpec& spec) { return TypeOf(spec); }, layout_);
    model.weights.layers.resize(static_cast<size_t>(config.num_hidden_layers));
    for (const PackedTensor& tensor : model.tensors) Place(tensor, &model.weights);
    for (LayerWeights& layer : model.weights.layers) layer.layout = layout_;
    CheckNoOthers(model.tensors);
    if (config.tie_word_embeddings) model.weights.head = model.weights.embedding;
    return model;
  }

 private:
  [[noreturn]] void Fail(const std::string& what, const std::string& got,
                         const std::string& expected, const std::string& hint = "") const {
    throw Error({.where = where_, .what = what, .got = got, .expected = expected, .hint = hint});
  }

  void CheckVersion() const {
    const std::string& architecture = GgufString(content_, kArchitectureKey, where_);
    if (architecture != kPackedArchitecture) {
      Fail("not a packed model", "a GGUF of architecture " + architecture,
           "architecture " + std::string(kPackedArchitecture),
           "run `stocha quantize " + where_ + " OUT.gguf`, or `stocha convert`, first");
    }
    const int64_t version = GgufInteger(content_, kVersionKey, where_);
    if (version > kPackedVersion) {
      Fail("made by a newer stocha", "version " + std::to_string(version),
           std::to_string(kPackedVersion), "update stocha, or quantize again");
    }
    if (version < kPackedVersion) {
      Fail("made by an older stocha", "version " + std::to_string(version),
           std::to_string(kPackedVersion) + ", where scales stand elsewhere",
           "run `stocha quantize` again");
    }
  }

  const GgufValue* Find(const char* key) const {
    const auto entry = content_.metadata.find(key);
    return entry == content_.metadata.end() ? nullptr : &entry->second;
  }

  std::string OptionalString(const char* key) const {
    return Find(key) == nullptr ? "" : GgufString(content_, key, where_);
  }

  template <typename T>
  const std::vector<T>& Array(const char* key) const {
    const GgufValue* value = Find(key);
    const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
    const auto* elements = array == nullptr ? nullptr : std::get_if<std::vector<T>>(array);
    if (elements == nullptr) {
      Fail(key, value == nullptr ? "nothing" : "something else", "an array of the right kind");
    }
    return *elements;
  }

  PackedHeader ReadHeader() const {
    PackedHeader header = {.config = ParseModelConfig(GgufString(content_, kConfigKey, where_),
                                                      where_ + ": " + kConfigKey),
                           .name = OptionalString(kNameKey),
                           .type = GgufString(content_, kTypeKey, where_),
                           .tokenizer = OptionalString(kTokenizerKey),
                           .tokenizer_config = OptionalString(kTokenizerConfigKey),
                           .chat_template = OptionalString(kChatTemplateKey),
                           .fired = {}};
    const auto layers = static_cast<size_t>(header.config.num_hidden_layers);
    if (Find(kThresholdsKey) != nullptr) {
      header.config.thresholds = Floats(kThresholdsKey, layers);
      ValidateModelConfig(header.config, where_ + ": " + kThresholdsKey);
    }
    const std::string order = OptionalString(kNeuronOrderKey);
    if (order == kHotFirst) {
      header.fired = Floats(kNeuronFiredKey, layers * kFiredParts);
    } else if (!order.empty()) {
      Fail(kNeuronOrderKey, order, std::string(kHotFirst));
    }
    return header;
  }

  std::vector<float> Floats(const char* key, size_t count) const {
    std::vector<float> values;
    for (const double value : Array<double>(key)) values.push_back(static_cast<float>(value));
    const bool finite =
        std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
    if (values.size() != count || !finite) {
      Fail(key, std::to_string(values.size()) + " numbers",
           std::to_string(count) + " finite ones, as the layers ask");
    }
    return values;
  }

  // nullptr: no such tensor.
  const std::string* FormatOf(std::string_view name) const {
    const auto entry = content_.index.find(name);
    return entry == content_.index.end() ? nullptr : &(*formats_)[entry->second];
  }

  // As the file says, found possible.
  WeightType TypeOf(const TensorSpec& spec) const {
    const bool neurons = layout_ == FfnLayout::kNeurons && spec.role == TensorRole::kUp;
    const std::string name = neurons ? NeuronsName(spec.layer) : spec.name;
    const bool planes = spec.role == TensorRole::kGate && content_.Find(name + ".high") != nullptr;
    const std::string* format = FormatOf(name);
    if (format == nullptr && !planes) Fail("tensor \"" + name + "\"", "nothing", "weights");
    const auto type = planes ? WeightType::kPlanes : ParseFormat(*format);
    if (!type) Fail("tensor \"" + name + "\"", *format, "a format that stocha knows");
    if (!RowsFit(*type, spec.shape[1])) {
      Fail("tensor \"" + name + "\"", "rows of " + std::to_string(spec.shape[1]),
           "whole blocks of " + std::string(WeightTypeName(*type)));
    }
    return *type;
  }

  // Throws unless the file has `expected`, as it is.
  const GgufTensor& Get(const PackedTensor& expected) const {
    const GgufTensor* tensor = content_.Find(expected.name);
    if (tensor == nullptr || tensor->type != expected.stored || tensor->shape != expected.shape) {
      Fail("tensor \"" + expected.name + "\"", Describe(tensor),
           std::string(GgmlTypeName(expected.stored)) + " " + Json(expected.shape).dump() +
               ", as config and formats say");
    }
    if (*FormatOf(expected.name) != expected.format) {
      Fail("tensor \"" + expected.name + "\"", "format " + *FormatOf(expected.name),
           expected.format);
    }
    const auto size = static_cast<uintptr_t>(BlockOf(expected.stored).bytes);
    if (reinterpret_cast<uintptr_t>(tensor->bytes.data()) % size != 0) {
      Fail("tensor \"" + expected.name + "\"", "an odd address",
           "a multiple of " + std::to_string(size));
    }
    return *tensor;
  }

  void Place(const PackedTensor& expected, Weights* weights) const {
    const std::span<const std::byte> bytes = Get(expected).bytes;
    const TensorSpec& spec = expected.spec;
    if (expected.part == PackedPart::kVector) {
      std::vector<float>* vector = VectorOf(*weights, spec);
      vector->resize(static_cast<size_t>(spec.num_elements()));
      std::memcpy(vector->data(), bytes.data(), bytes.size());
      return;
    }
    Matrix* matrix = MatrixOf(*weights, spec);
    if (expected.part == PackedPart::kLowPlane) {  // the high one came before it
      matrix->low = bytes.data();
      matrix->low_stride = expected.shape[1];
      return;
    }
    *matrix = {.type = expected.type,
               .data = bytes.data(),
               .rows = spec.shape[0],
               .cols = spec.shape[1],
               .stride = expected.shape[1]};
    if (expected.part != PackedPart::kNeurons) return;
    Matrix* down = &weights->layers[spec.layer].down;
    *down = *matrix;
    down->data = bytes.data() + matrix->RowBytes();
  }

  void CheckNoOthers(const std::vector<PackedTensor>& tensors) const {
    if (tensors.size() == content_.tensors.size()) return;  // each was found, under its own name
    const auto other = std::ranges::find_if(content_.tensors, [&](const GgufTensor& tensor) {
      return std::ranges::find(tensors, tensor.name, &PackedTensor::name) == tensors.end();
    });
    Fail("tensor \"" + other->name + "\"", Describe(&*other), "no such tensor");
  }

  const GgufContent& content_;
  std::string where_;
  const std::vector<std::string>* formats_ = nullptr;  // [tensors]
  FfnLayout layout_ = FfnLayout::kNeurons;
};

// Neurons of a layer that memory has room for beside what every token reads, the key-value cache
// and scratch.
int64_t KeptNeurons(const PackedModel& model, int64_t file_bytes, int64_t limit) {
  const ModelConfig& config = model.header.config;
  const int64_t all = static_cast<int64_t>(config.num_hidden_layers) * config.intermediate_size;
  const LayerWeights& layer = model.weights.layers.front();
  const int64_t neuron_bytes = layer.up.RowBytes() + layer.down.RowBytes();
  const int64_t others = file_bytes - all * neuron_bytes;
  const int64_t room = limit - limit / kSpareShare - kSpareBytes - others;
  return std::max<int64_t>(room, 0) / neuron_bytes / config.num_hidden_layers;
}

}  // namespace

PackedModel ParsePackedModel(const GgufContent& content, std::string_view where) {
  return Reader(content, where).Read();
}

PackedModelFile PackedModelFile::Open(const std::filesystem::path& path) {
  PackedModelFile opened = {.file = GgufFile::Open(path), .model = {}};
  opened.model = ParsePackedModel(opened.file.content, path.string());
  const auto file_bytes = static_cast<int64_t>(opened.file.file.bytes().size());
  const int64_t limit = MemoryLimit();
  if (file_bytes < limit) {
    PreferHugePages(opened.file.file.bytes());
    return opened;
  }
  const int64_t kept = opened.model.header.fired.empty()
                           ? std::numeric_limits<int64_t>::max()
                           : KeptNeurons(opened.model, file_bytes, limit);
  for (const PackedTensor& tensor : opened.model.tensors) {
    if (tensor.part != PackedPart::kNeurons) continue;
    // Else each neuron that fires would bring megabytes around it, and push out what is needed.
    ExpectRandomReads(opened.file.content.Find(tensor.name)->bytes);
    LayerWeights& layer = opened.model.weights.layers[tensor.spec.layer];
    layer.on_disk = true;
    layer.kept_neurons = kept;
  }
  return opened;
}

std::map<std::string, GgufValue, std::less<>> PackedMetadata(
    const PackedHeader& header, const std::vector<PackedTensor>& tensors) {
  ModelConfig config = header.config;
  config.thresholds.clear();  // they have a key of their own
  std::vector<std::string> formats;
  formats.reserve(tensors.size());
  for (const PackedTensor& tensor : tensors) formats.push_back(tensor.format);
  std::map<std::string, GgufValue, std::less<>> metadata = {
      {kArchitectureKey, std::string(kPackedArchitecture)},
      {kVersionKey, kPackedVersion},
      {kTypeKey, header.type},
      {kConfigKey, ModelConfigToJson(config)},
      {kFormatsKey, GgufArray(std::move(formats))}};
  if (!header.name.empty()) metadata[kNameKey] = header.name;
  if (!header.tokenizer.empty()) metadata[kTokenizerKey] = header.tokenizer;
  if (!header.tokenizer_config.empty()) metadata[kTokenizerConfigKey] = header.tokenizer_config;
  if (!header.chat_template.empty()) metadata[kChatTemplateKey] = header.chat_template;
  const std::vector<float>& thresholds = header.config.thresholds;
  if (!thresholds.empty()) metadata[kThresholdsKey] = Doubles(thresholds);
  if (!header.fired.empty()) {
    metadata[kNeuronOrderKey] = std::string(kHotFirst);
    metadata[kNeuronFiredKey] = Doubles(header.fired);
  }
  return metadata;
}

std::vector<float> UnpackRows(const Weights& weights, const TensorSpec& spec, int64_t first,
                              int64_t count) {
  if (spec.shape.size() == 1) {
    const std::vector<float>& vector = *VectorOf(weights, spec);
    return {vector.begin() + first, vector.begin() + first + count};
  }
  const Matrix& matrix = *MatrixOf(weights, spec);
  const int64_t cols = spec.shape[1];
  std::vector<float> values(static_cast<size_t>(count * cols));  // [count, cols]
  if (spec.role != TensorRole::kDown || weights.layers[spec.layer].layout == FfnLayout::kRows) {
    for (int64_t r = 0; r < count; ++r) {
      UnpackMatrixRow(matrix, first + r, values.data() + r * cols);
    }
    return values;
  }
  std::vector<float> column(static_cast<size_t>(matrix.cols));  // [hidden_size], of one neuron
  for (int64_t i = 0; i < cols; ++i) {
    UnpackMatrixRow(matrix, i, column.data(), RowUse::kAxpy);
    for (int64_t r = 0; r < count; ++r) values[r * cols + i] = column[first + r];
  }
  return values;
}

}  // namespace stocha
