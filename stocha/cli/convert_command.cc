// stocha convert: a GGUF, a packed model too, as a Hugging Face model directory.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/progress.h"
#include "stocha/cli/command.h"
#include "stocha/cli/model_source.h"
#include "stocha/model/chat_template.h"
#include "stocha/model/checkpoint.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

struct ConvertOptions {
  std::string model;
  std::string output;
  std::string dtype = "auto";
  bool no_tokenizer = false;
};

uint16_t To16Bits(float value, DType dtype) {
  return dtype == DType::kBF16 ? F32ToBF16(value) : F32ToF16(value);
}

float From16Bits(uint16_t bits, DType dtype) {
  return dtype == DType::kBF16 ? BF16ToF32(bits) : F16ToF32(bits);
}

// The type of the file's matrices, unless that would round a value; F32 where they were quantised.
DType LosslessDType(const QuantizeSource& model) {
  const DType dtype = model.header.config.dtype;
  if (dtype == DType::kF32) return dtype;
  for (const TensorSpec& spec : ListTensors(model.header.config)) {
    if (spec.shape.size() > 1) continue;
    for (const float value : model.read(spec, 0, spec.shape[0])) {
      if (From16Bits(To16Bits(value, dtype), dtype) != value) return DType::kF32;
    }
  }
  return dtype;
}

DType ChooseDType(const QuantizeSource& model, const std::string& name) {
  if (name == "f32") return DType::kF32;
  if (name == "bf16") return DType::kBF16;
  if (name == "f16") return DType::kF16;
  return LosslessDType(model);
}

// The bytes of `values` in `dtype`.
std::vector<std::byte> Encode(const std::vector<float>& values, DType dtype,
                              const std::string& name) {
  std::vector<std::byte> bytes(values.size() * DTypeSize(dtype));
  if (dtype == DType::kF32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = To16Bits(values[i], dtype);
    if (std::isfinite(values[i]) && !std::isfinite(From16Bits(bits, dtype))) {
      throw Error({.where = "--dtype",
                   .what = "tensor \"" + name + "\" does not fit",
                   .got = std::to_string(values[i]),
                   .expected = "values in the range of " + std::string(DTypeName(dtype)),
                   .hint = "use f32"});
    }
    std::memcpy(bytes.data() + 2 * i, &bits, sizeof(bits));
  }
  return bytes;
}

// The tokenizer's files, found to be readable.
std::map<std::string, std::string> TokenizerFiles(const PackedHeader& model,
                                                  const std::string& where) {
  if (model.tokenizer.empty()) return {};
  const int64_t ids = Tokenizer::FromJson(model.tokenizer, where).vocab_size();
  if (ids > model.config.vocab_size) {
    throw Error({.where = where,
                 .what = "tokenizer",
                 .got = std::to_string(ids) + " ids",
                 .expected = "at most " + std::to_string(model.config.vocab_size) +
                             ", as the embedding has rows"});
  }
  std::map<std::string, std::string> files = {{"tokenizer.json", model.tokenizer}};
  if (!model.tokenizer_config.empty()) files["tokenizer_config.json"] = model.tokenizer_config;
  if (!model.chat_template.empty() &&
      ChatTemplate("", model.tokenizer_config, where) != model.chat_template) {  // in no other file
    files["chat_template.jinja"] = model.chat_template;
  }
  return files;
}

void Convert(const ConvertOptions& options) {
  const QuantizeSource model = OpenGgufSource(options.model, !options.no_tokenizer).source;
  const std::map<std::string, std::string> files =
      ReadingTokenizer([&] { return TokenizerFiles(model.header, options.model); });
  ModelConfig config = model.header.config;
  config.dtype = ChooseDType(model, options.dtype);

  Progress progress({.label = "convert", .unit = "B", .total = ListTensors(config).size()});
  std::vector<std::byte> bytes;
  uint64_t done = 0;
  double written = 0;
  const auto next = [&](const TensorSpec& spec) {
    bytes = Encode(model.read(spec, 0, spec.shape[0]), config.dtype, spec.name);
    written += static_cast<double>(bytes.size());
    progress.Update(++done, written, "");
    return std::span<const std::byte>(bytes);
  };
  WriteCheckpoint(options.output, config, next, files);
  progress.Print(fmt::format("{}: {} parameters in {}, {}", Printable(options.output, 1000),
                             CountParameters(config), DTypeName(config.dtype),
                             files.empty() ? "no tokenizer" : "with its tokenizer"));
}

}  // namespace

void AddConvertCommand(CLI::App& app, Run& run) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* sub = app.add_subcommand("convert", "Turn a GGUF into a model directory");
  sub->add_option("MODEL", options->model,
                  "GGUF of architecture llama, qwen2, qwen3, or a packed model")
      ->required();
  sub->add_option("OUT_DIR", options->output, "model directory to write")->required();
  sub->add_option("--dtype", options->dtype,
                  "f32, bf16, f16, or auto: the type of the file's matrices where no value is "
                  "rounded by it, else f32, which holds quantised values exactly")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "f16"}))
      ->capture_default_str();
  sub->add_flag(kNoTokenizerFlag, options->no_tokenizer, kNoTokenizerHelp);
  sub->footer(
      "Reads F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q4_K, Q5_K and Q6_K, and the tokenizer and "
      "chat template in the file.\n\nExample:\n"
      "  stocha convert SmolLM2-135M-Instruct.Q4_1.gguf models/SmolLM2-135M-Instruct");
  sub->callback([options, &run] { run = [options] { Convert(*options); }; });
}

}  // namespace stocha
