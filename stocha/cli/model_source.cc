#include "stocha/cli/model_source.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/model/chat_template.h"
#include "stocha/model/checkpoint.h"
#include "stocha/model/gguf_model.h"
#include "stocha/model/gguf_tokenizer.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

std::string ReadIfThere(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored) ? ReadFile(file) : "";
}

// The folder's or file's own name, without ".gguf".
std::string NameOf(const fs::path& model) {
  const fs::path path = model.has_filename() ? model : model.parent_path();
  return (path.extension() == ".gguf" ? path.stem() : path.filename()).string();
}

bool IsPacked(const GgufFile& file) {
  return GgufString(file.content, "general.architecture", file.path.string()) ==
         kPackedArchitecture;
}

ModelSource FromDirectory(const std::string& model, bool with_tokenizer) {
  auto checkpoint = std::make_shared<const Checkpoint>(OpenCheckpoint(model));
  const fs::path& folder = checkpoint->directory;
  QuantizeSource source = {.header = {.config = checkpoint->config, .name = NameOf(model)}};
  if (with_tokenizer) {
    source.header.tokenizer = ReadIfThere(folder / "tokenizer.json");
    source.header.tokenizer_config = ReadIfThere(folder / "tokenizer_config.json");
    source.header.chat_template = ReadingTokenizer([&] { return ReadChatTemplate(folder); });
  }
  source.read = [checkpoint](const TensorSpec& spec, int64_t first, int64_t count) {
    TensorView rows = checkpoint->Get(spec);
    const size_t row_bytes = rows.bytes.size() / static_cast<size_t>(rows.shape[0]);
    rows.bytes = rows.bytes.subspan(static_cast<size_t>(first) * row_bytes,
                                    static_cast<size_t>(count) * row_bytes);
    rows.shape[0] = count;
    return ToFloat32(rows, spec.name);
  };
  return {std::move(source), ""};
}

ModelSource FromPacked(const std::string& model, bool with_tokenizer) {
  auto packed = std::make_shared<const PackedModelFile>(PackedModelFile::Open(model));
  QuantizeSource source = {.header = packed->model.header};
  if (!with_tokenizer) {
    source.header.tokenizer.clear();
    source.header.tokenizer_config.clear();
    source.header.chat_template.clear();
  }
  source.read = [packed](const TensorSpec& spec, int64_t first, int64_t count) {
    return UnpackRows(packed->model.weights, spec, first, count);
  };
  return {std::move(source), ""};
}

ModelSource FromGguf(const std::string& model, bool with_tokenizer) {
  auto gguf = std::make_shared<const GgufModel>(GgufModel::Open(model));
  QuantizeSource source = {.header = {.config = gguf->config(), .name = NameOf(model)}};
  const auto read = [&] { return ReadGgufTokenizer(gguf->file().content, model); };
  if (with_tokenizer) {
    if (auto tokenizer = ReadingTokenizer(read)) {
      source.header.tokenizer = std::move(tokenizer->tokenizer_json);
      source.header.tokenizer_config = std::move(tokenizer->tokenizer_config_json);
      source.header.chat_template = ChatTemplate("", source.header.tokenizer_config, model);
    }
  }
  std::string rounded_down;
  for (const TensorSpec& spec : ListTensors(gguf->config())) {
    const GgmlType type = gguf->Stored(spec).type;
    if (spec.role != TensorRole::kDown || BlockOf(type).elements == 1) continue;
    rounded_down = GgmlTypeName(type);
  }
  source.read = [gguf](const TensorSpec& spec, int64_t first, int64_t count) {
    return gguf->ReadRows(spec, first, count);
  };
  return {std::move(source), std::move(rounded_down)};
}

}  // namespace

bool IsGguf(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  constexpr std::string_view kMagic = "GGUF";
  const MappedFile file = MappedFile::Open(path);
  const std::span<const std::byte> head =
      file.bytes().first(std::min(file.bytes().size(), kMagic.size()));
  return std::ranges::equal(head, std::as_bytes(std::span(kMagic)));
}

TokenizerFiles LoadTokenizerFiles(const std::string& gguf) {
  const GgufFile file = GgufFile::Open(gguf);
  if (IsPacked(file)) {
    PackedHeader header = ParsePackedModel(file.content, gguf).header;
    return {std::move(header.tokenizer), std::move(header.tokenizer_config),
            std::move(header.chat_template)};
  }
  auto tokenizer = ReadGgufTokenizer(file.content, gguf);
  if (!tokenizer) return {};
  std::string chat_template = ChatTemplate("", tokenizer->tokenizer_config_json, gguf);
  return {std::move(tokenizer->tokenizer_json), std::move(tokenizer->tokenizer_config_json),
          std::move(chat_template)};
}

Tokenizer LoadTokenizer(const std::string& model) {
  if (IsGguf(model)) {
    const std::string json = LoadTokenizerFiles(model).tokenizer;
    if (!json.empty()) return Tokenizer::FromJson(json, model);
  } else if (const fs::path path = fs::path(model) / "tokenizer.json"; fs::exists(path)) {
    return Tokenizer::FromFile(path);
  }
  throw Error({.where = model,
               .what = "no tokenizer, which text needs",
               .hint = "a model directory has it in tokenizer.json; `stocha logits` works on ids"});
}

ModelSource OpenModelSource(const std::string& model, bool with_tokenizer) {
  return IsGguf(model) ? OpenGgufSource(model, with_tokenizer)
                       : FromDirectory(model, with_tokenizer);
}

ModelSource OpenGgufSource(const std::string& file, bool with_tokenizer) {
  return IsPacked(GgufFile::Open(file)) ? FromPacked(file, with_tokenizer)
                                        : FromGguf(file, with_tokenizer);
}

}  // namespace stocha
