// stocha inspect: what a model directory, a packed model or another GGUF holds, after checking that
// config and tensors agree.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/cli/command.h"
#include "stocha/cli/model_source.h"
#include "stocha/engine/packed_model.h"
#include "stocha/model/chat_template.h"
#include "stocha/model/checkpoint.h"
#include "stocha/model/gguf_model.h"
#include "stocha/model/gguf_tokenizer.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct InspectOptions {
  std::string model;
  bool json = false;
  bool tensors = false;  // list them too
};

// Weights are reported by what they are part of.
constexpr std::array<std::string_view, 5> kParts = {"embedding", "attention", "ffn", "norms",
                                                    "head"};

// Keys of the config that the table has under another name.
constexpr std::array<std::string_view, 6> kShownElsewhere = {
    "activation", "hidden_act", "dtype", "torch_dtype", "architectures", "rope_parameters"};

// Gate, up and down as one: packed models keep up and down in one tensor.
std::string_view ShownPart(TensorRole role) {
  const ModelPart part = PartOf(role);
  const bool ffn = part == ModelPart::kGate || part == ModelPart::kUp || part == ModelPart::kDown;
  return ffn ? "ffn" : ModelPartName(part);
}

struct StoredTensor {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
  uint64_t bytes;
  std::string_view part;  // one of kParts
};

// What every kind of model says of itself.
struct Inspected {
  ModelConfig config;
  std::string type;  // of the weights
  std::optional<int32_t> tokenizer_vocab_size;
  bool chat_template = false;
  std::vector<StoredTensor> tensors;
  std::vector<float> fired;  // PackedHeader::fired
};

Inspected InspectDirectory(const std::string& path) {
  const Checkpoint checkpoint = OpenCheckpoint(path);
  Inspected model = {.config = checkpoint.config,
                     .type = std::string(DTypeName(checkpoint.config.dtype))};
  if (checkpoint.has_tokenizer()) {
    model.tokenizer_vocab_size = Tokenizer::FromFile(checkpoint.tokenizer_path()).vocab_size();
    model.chat_template = !ReadChatTemplate(checkpoint.directory).empty();
  }
  for (const TensorSpec& spec : ListTensors(checkpoint.config)) {
    const TensorView& tensor = checkpoint.Get(spec);
    model.tensors.push_back({spec.name, std::string(DTypeName(tensor.dtype)), tensor.shape,
                             tensor.bytes.size(), ShownPart(spec.role)});
  }
  return model;
}

Inspected InspectPacked(const std::string& path) {
  const PackedModelFile packed = PackedModelFile::Open(path);
  const PackedHeader& header = packed.model.header;
  Inspected model = {.config = header.config, .type = header.type, .fired = header.fired};
  if (!header.tokenizer.empty()) {
    model.tokenizer_vocab_size = Tokenizer::FromJson(header.tokenizer, path).vocab_size();
    model.chat_template = !header.chat_template.empty();
  }
  for (const PackedTensor& tensor : packed.model.tensors) {
    model.tensors.push_back({tensor.name, tensor.format, tensor.shape,
                             packed.file.content.Find(tensor.name)->bytes.size(),
                             ShownPart(tensor.spec.role)});
  }
  return model;
}

Inspected InspectGguf(const std::string& path, GgufFile file) {
  const GgufModel gguf(std::move(file));
  Inspected model = {.config = gguf.config()};
  if (const auto files = ReadGgufTokenizer(gguf.file().content, path)) {
    model.tokenizer_vocab_size = Tokenizer::FromJson(files->tokenizer_json, path).vocab_size();
    model.chat_template = !ChatTemplate("", files->tokenizer_config_json, path).empty();
  }
  std::set<std::string> types;  // of the matrices
  for (const TensorSpec& spec : ListTensors(gguf.config())) {
    const GgufTensor& tensor = gguf.Stored(spec);
    const std::string type(GgmlTypeName(tensor.type));
    if (spec.shape.size() > 1) types.insert(type);
    model.tensors.push_back(
        {tensor.name, type, tensor.shape, tensor.bytes.size(), ShownPart(spec.role)});
  }
  model.type = fmt::format("{}", fmt::join(types, ", "));
  return model;
}

Inspected InspectModel(const std::string& path) {
  if (!IsGguf(path)) return InspectDirectory(path);
  GgufFile file = GgufFile::Open(path);
  const std::string& architecture = GgufString(file.content, "general.architecture", path);
  return architecture == kPackedArchitecture ? InspectPacked(path)
                                             : InspectGguf(path, std::move(file));
}

// Everything shown, in the order shown; both outputs print it.
OrderedJson Describe(const std::string& path, bool list_tensors) {
  const Inspected model = InspectModel(path);
  std::map<std::string_view, uint64_t> bytes;  // of a part
  std::map<std::string_view, std::set<std::string>> types;
  OrderedJson tensors = OrderedJson::array();
  for (const StoredTensor& tensor : model.tensors) {
    bytes[tensor.part] += tensor.bytes;
    types[tensor.part].insert(tensor.type);
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.type},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes}});
  }
  OrderedJson shown;
  shown["model"] = path;
  shown["parameters"] = CountParameters(model.config);
  shown["dtype"] = model.type;
  shown["activation"] = ToString(model.config.activation);
  shown["sparse"] = model.config.activation.sparse();
  shown["tokenizer_vocab_size"] = nullptr;
  if (model.tokenizer_vocab_size) shown["tokenizer_vocab_size"] = *model.tokenizer_vocab_size;
  shown["chat_template"] = model.chat_template;
  if (!model.config.thresholds.empty()) shown["thresholds"] = model.config.thresholds;
  if (!model.fired.empty()) {
    shown["neuron_order"] = kHotFirst;
    for (size_t part = 0; part < kFiredParts; ++part) {
      double sum = 0;
      for (size_t i = part; i < model.fired.size(); i += kFiredParts) sum += model.fired[i];
      shown["fired_by_tenth"].push_back(sum / model.config.num_hidden_layers);
    }
  }
  for (const std::string_view part : kParts) {
    shown["bytes"][std::string(part)] = bytes[part];
    shown["types"][std::string(part)] = types[part];
  }
  // The config as it would be written: every value that counts, defaults filled in.
  shown["config"] = OrderedJson::parse(ModelConfigToJson(model.config));
  if (list_tensors) shown["tensors"] = std::move(tensors);
  return shown;
}

std::string Bytes(uint64_t bytes) {
  constexpr double kKiB = 1024;
  const auto size = static_cast<double>(bytes);
  if (size < 10 * kKiB) return fmt::format("{} B", bytes);
  if (size < kKiB * kKiB) return fmt::format("{:.1f} KiB", size / kKiB);
  return fmt::format("{:.1f} MiB", size / (kKiB * kKiB));
}

void PrintTable(const OrderedJson& shown) {
  const auto row = [](std::string_view name, const std::string& value) {
    fmt::print("{:<24} {}\n", name, value);
  };
  const auto text = [](const OrderedJson& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  const bool sparse = shown["sparse"];
  row("model", Printable(text(shown["model"]), 1000));
  row("parameters", text(shown["parameters"]));
  row("dtype", text(shown["dtype"]));
  row("activation", text(shown["activation"]) + (sparse ? " (neurons that do not fire are skipped)"
                                                        : " (every neuron is computed)"));
  const OrderedJson& vocab = shown["tokenizer_vocab_size"];
  row("tokenizer", vocab.is_null() ? "none" : vocab.dump() + " ids");
  row("chat template", shown["chat_template"] ? "yes" : "none");
  if (shown.contains("thresholds")) {
    row("thresholds", "a neuron fires above its layer's, not above 0");
  }
  if (shown.contains("neuron_order")) {
    const OrderedJson& tenths = shown["fired_by_tenth"];
    row("neurons", fmt::format("{}: {:.1f} % of the first tenth fired, {:.1f} % of the last",
                               text(shown["neuron_order"]), 100 * tenths.front().get<double>(),
                               100 * tenths.back().get<double>()));
  }
  for (const auto& [key, value] : shown["config"].items()) {
    // null says that nothing is set; the keys left out say again what stands above or elsewhere.
    const bool elsewhere = std::ranges::find(kShownElsewhere, key) != kShownElsewhere.end();
    if (!value.is_null() && !elsewhere) row(key, text(value));
  }
  uint64_t total = 0;
  for (const auto& [part, bytes] : shown["bytes"].items()) {
    std::string types;
    for (const OrderedJson& type : shown["types"][part]) types += "  " + text(type);
    row("bytes in " + part, Bytes(bytes) + types);
    total += bytes.get<uint64_t>();
  }
  row("bytes in all", Bytes(total));
  if (!shown.contains("tensors")) return;
  fmt::print("\n{:<56} {:<12} {}\n", "tensor", "dtype", "shape");
  for (const OrderedJson& tensor : shown["tensors"]) {
    fmt::print("{:<56} {:<12} {}\n", text(tensor["name"]), text(tensor["dtype"]),
               text(tensor["shape"]));
  }
}

void Inspect(const InspectOptions& options) {
  const OrderedJson shown = Describe(options.model, options.tensors);
  if (options.json) {
    fmt::print("{}\n", shown.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
  } else {
    PrintTable(shown);
  }
}

}  // namespace

void AddInspectCommand(CLI::App& app, Run& run) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* sub = app.add_subcommand("inspect", "Show what a model holds");
  sub->add_option("MODEL", options->model, "model directory or .gguf")->required();
  sub->add_flag("--tensors", options->tensors, "list the tensors too");
  sub->add_flag("--json", options->json, "print JSON");
  sub->footer("Example:\n  stocha inspect models/demo --tensors");
  sub->callback([options, &run] { run = [options] { Inspect(*options); }; });
}

}  // namespace stocha
