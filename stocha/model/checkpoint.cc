#include "stocha/model/checkpoint.h"

#include <map>
#include <set>
#include <string_view>
#include <system_error>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

bool IsWeightType(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

std::string Describe(const TensorView& tensor) {
  return std::string(DTypeName(tensor.dtype)) + " " + Json(tensor.shape).dump();
}

// Stored by some exporters, and derived from the config or another tensor.
bool IsRedundant(std::string_view name, const ModelConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") ||
         (name == "lm_head.weight" && config.tie_word_embeddings);
}

// Throws Error unless `tensor` (nullptr: absent) is what the config asks for.
void CheckTensor(const TensorSpec& spec, const TensorView* tensor, std::string_view where) {
  const bool fits = tensor != nullptr && tensor->shape == spec.shape && IsWeightType(tensor->dtype);
  if (fits) return;
  throw Error(
      {.where = std::string(where),
       .what = "tensor \"" + spec.name + "\"",
       .got = tensor == nullptr ? "nothing" : Describe(*tensor),
       .expected = "F32, BF16 or F16 " + Json(spec.shape).dump() + ", as config.json says"});
}

// Renaming over a folder deletes what is in it, so it must be a model's.
void CheckReplaceable(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (!fs::exists(status)) return;
  if (fs::is_directory(status) &&
      (fs::is_empty(directory, error) || fs::exists(directory / "config.json", error))) {
    return;
  }
  throw Error({.where = directory.string(),
               .what = "will not be replaced",
               .got = fs::is_directory(status) ? "a folder with other files" : "a file",
               .expected = "nothing, an empty folder or a model directory",
               .hint = "choose another output folder"});
}

// The ids that text generation starts and stops with, where transformers looks for them.
std::string GenerationConfigJson(const ModelConfig& config) {
  Json json = {{"_from_model_config", true}};
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  if (config.eos_token_ids.size() == 1) json["eos_token_id"] = config.eos_token_ids[0];
  if (config.eos_token_ids.size() > 1) json["eos_token_id"] = config.eos_token_ids;
  return json.dump(2) + "\n";
}

}  // namespace

const TensorView& Checkpoint::Get(const TensorSpec& spec) const {
  const TensorView* tensor = weights.Find(spec.name);
  CheckTensor(spec, tensor, directory.string());
  return *tensor;
}

Checkpoint OpenCheckpoint(const fs::path& directory) {
  const std::string where = directory.string();
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    throw Error({.where = where,
                 .what = "not a model directory",
                 .got = fs::exists(directory, ignored) ? "a file" : "nothing there",
                 .expected = "a folder with config.json and model.safetensors",
                 .hint = "check the path"});
  }
  Checkpoint checkpoint;
  checkpoint.directory = directory;
  checkpoint.config = ReadModelConfig(directory / "config.json");
  checkpoint.weights = SafetensorsReader::Open(directory);

  std::set<std::string_view> expected;
  const std::vector<TensorSpec> specs = ListTensors(checkpoint.config);
  for (const TensorSpec& spec : specs) {
    CheckTensor(spec, checkpoint.weights.Find(spec.name), where);
    expected.insert(spec.name);
  }
  for (const auto& [name, tensor] : checkpoint.weights.tensors()) {
    if (expected.contains(name) || IsRedundant(name, checkpoint.config)) continue;
    throw Error({.where = where,
                 .what = "tensor \"" + name + "\"",
                 .got = Describe(tensor),
                 .expected = "no such tensor, as config.json says"});
  }
  // The weights know better than a config.json that says nothing or something else.
  checkpoint.config.dtype = checkpoint.Get(specs.front()).dtype;
  return checkpoint;
}

void WriteCheckpoint(const fs::path& directory, const ModelConfig& config,
                     const WeightSource& source, const std::map<std::string, std::string>& files) {
  ValidateModelConfig(config, directory.string());
  CheckReplaceable(directory);
  std::vector<DeclaredTensor> declared;
  std::map<std::string, TensorSpec> specs;
  for (const TensorSpec& spec : ListTensors(config)) {
    declared.push_back({spec.name, config.dtype, spec.shape});
    specs.emplace(spec.name, spec);
  }

  AtomicDirectory output(directory);
  const fs::path& folder = output.temporary();
  WriteFile(folder / "config.json", ModelConfigToJson(config));
  WriteFile(folder / "generation_config.json", GenerationConfigJson(config));
  for (const auto& [name, content] : files) WriteFile(folder / name, content);
  // transformers wants to know which framework the tensors come from.
  WriteSafetensors(folder / "model.safetensors", declared,
                   [&](const DeclaredTensor& tensor) { return source(specs.at(tensor.name)); },
                   {{"format", "pt"}});
  output.Commit();
}

void WriteCheckpoint(const fs::path& directory, const ModelConfig& config,
                     std::span<const NamedTensor> tensors, const fs::path& tokenizer) {
  const std::string where = directory.string();
  ValidateModelConfig(config, where);
  std::map<std::string_view, const TensorView*> given;
  for (const NamedTensor& named : tensors) given.emplace(named.name, &named.tensor);
  const std::vector<TensorSpec> specs = ListTensors(config);
  for (const TensorSpec& spec : specs) {
    const auto entry = given.find(spec.name);
    const TensorView* tensor = entry == given.end() ? nullptr : entry->second;
    CheckTensor(spec, tensor, where);
    if (tensor->dtype != config.dtype) {
      throw Error({.where = where,
                   .what = "tensor \"" + spec.name + "\"",
                   .got = std::string(DTypeName(tensor->dtype)),
                   .expected = std::string(DTypeName(config.dtype)) + ", as in the config"});
    }
  }
  if (tensors.size() != specs.size()) {
    throw Error({.where = where,
                 .what = "tensors to write",
                 .got = std::to_string(tensors.size()),
                 .expected = std::to_string(specs.size()) + ", as the config says"});
  }
  std::map<std::string, std::string> files;
  if (!tokenizer.empty()) {
    files["tokenizer.json"] = ReadFile(tokenizer);
    for (const char* name : {"tokenizer_config.json", "chat_template.jinja"}) {
      const fs::path beside = tokenizer.parent_path() / name;
      std::error_code ignored;
      if (fs::exists(beside, ignored)) files[name] = ReadFile(beside);
    }
  }
  WriteCheckpoint(
      directory, config, [&](const TensorSpec& spec) { return given.at(spec.name)->bytes; }, files);
}

}  // namespace stocha
