#include "stocha/model/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
constexpr uint64_t kDataAlignment = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

static_assert(std::endian::native == std::endian::little, "tensor data is little-endian");

constexpr std::array kDTypes = {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64,
                                DType::kI32, DType::kI16, DType::kI8,  DType::kU8,   DType::kBool};

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const DType dtype : kDTypes) {
    if (DTypeName(dtype) == name) return dtype;
  }
  return std::nullopt;
}

// The bytes of a tensor; nothing when 2^63 or more.
std::optional<uint64_t> ByteSize(DType dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = static_cast<int64_t>(DTypeSize(dtype));
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return static_cast<uint64_t>(bytes);
}

// A tensor's entry in the header: its type and shape, and where its bytes lie in the data.
struct Entry {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t begin;
  uint64_t end;
};

Entry ParseEntry(const std::string& name, const Json& value, std::string_view where) {
  const JsonObject json(value, where, name + ".");
  Entry entry;
  entry.name = name;
  const std::optional<DType> dtype = DTypeFromName(json.String("dtype"));
  if (!dtype) json.Fail("dtype", "F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL");
  entry.dtype = *dtype;
  for (const Json& size : json.Array("shape")) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > INT64_MAX) {
      json.Fail("shape", "non-negative integers");
    }
    entry.shape.push_back(size.get<int64_t>());
  }
  const Json& offsets = json.Array("data_offsets");
  if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
    json.Fail("data_offsets", "two non-negative integers");
  }
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  const std::optional<uint64_t> bytes = ByteSize(entry.dtype, entry.shape);
  if (!bytes) json.Fail("shape", "a size in bytes below 2^63");
  if (entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    json.Fail("data_offsets", std::to_string(*bytes) + " bytes, as dtype and shape say");
  }
  return entry;
}

}  // namespace

int64_t TensorView::num_elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

SafetensorsHeader ParseSafetensors(std::span<const std::byte> file, std::string_view where) {
  const auto fail = [where](const std::string& what, const std::string& got,
                            const std::string& expected) {
    throw Error({.where = std::string(where),
                 .what = what,
                 .got = got,
                 .expected = expected,
                 .hint = "the file is damaged or not safetensors; fetch or write it again"});
  };
  if (file.size() < kLengthBytes) {
    fail("file too short", std::to_string(file.size()) + " bytes", "at least 8");
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), kLengthBytes);
  const uint64_t limit = std::min<uint64_t>(file.size() - kLengthBytes, kMaxHeaderBytes);
  if (header_bytes > limit) {
    fail("header length", std::to_string(header_bytes), "at most " + std::to_string(limit));
  }
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                                header_bytes);
  const std::span<const std::byte> data = file.subspan(kLengthBytes + header_bytes);

  const Json json = ParseJson(header, where);
  SafetensorsHeader parsed;
  std::vector<Entry> entries;
  for (const auto& [name, value] : JsonObject(json, where).value().items()) {
    if (name != kMetadataKey) {
      entries.push_back(ParseEntry(name, value, where));
      continue;
    }
    const JsonObject metadata(value, where, std::string(kMetadataKey) + ".");
    for (const auto& item : value.items()) {
      parsed.metadata[item.key()] = metadata.String(item.key());
    }
  }
  // Every byte of the data belongs to exactly one tensor.
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  uint64_t end = 0;
  for (Entry& entry : entries) {
    if (entry.begin != end) {
      fail("tensor \"" + entry.name + "\" overlaps another or leaves a gap",
           "offset " + std::to_string(entry.begin), std::to_string(end));
    }
    if (entry.end > data.size()) {
      fail("tensor \"" + entry.name + "\" ends past the end of the file",
           "offset " + std::to_string(entry.end), "at most " + std::to_string(data.size()));
    }
    end = entry.end;
    parsed.tensors.push_back(
        {std::move(entry.name),
         {entry.dtype, std::move(entry.shape), data.subspan(entry.begin, end - entry.begin)}});
  }
  if (end != data.size()) {
    fail("data after the last tensor", std::to_string(data.size()) + " bytes of data",
         std::to_string(end));
  }
  return parsed;
}

void SafetensorsReader::AddFile(const fs::path& path) {
  files_.push_back(std::make_unique<MappedFile>(MappedFile::Open(path)));
  SafetensorsHeader header = ParseSafetensors(files_.back()->bytes(), path.string());
  for (NamedTensor& named : header.tensors) {
    const auto [entry, added] = tensors_.try_emplace(named.name, std::move(named.tensor));
    if (!added) {
      throw Error({.where = path.string(),
                   .what = "tensor \"" + entry->first + "\" is in another shard too"});
    }
  }
  metadata_.merge(header.metadata);
}

SafetensorsReader SafetensorsReader::Open(const fs::path& path) {
  SafetensorsReader reader;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    const fs::path single = path / "model.safetensors";
    const fs::path index = path / "model.safetensors.index.json";
    if (fs::exists(single, ignored)) return Open(single);
    if (fs::exists(index, ignored)) return Open(index);
    throw Error({.where = path.string(),
                 .what = "no weights",
                 .expected = "model.safetensors or model.safetensors.index.json",
                 .hint = "other formats must be converted, e.g. by transformers' save_pretrained"});
  }
  if (path.extension() != ".json") {
    reader.AddFile(path);
    return reader;
  }

  const std::string where = path.string();
  const Json json = ParseJson(ReadFile(path, kMaxHeaderBytes), where);
  const JsonObject weight_map = JsonObject(json, where).Object("weight_map");
  std::set<std::string> shards;
  for (const auto& [name, value] : weight_map.value().items()) {
    const std::string shard = weight_map.String(name);
    // A shard lies beside its index; anything else could reach files the user did not name.
    if (fs::path(shard).filename() != shard || !shard.ends_with(".safetensors")) {
      weight_map.Fail(name, "the name of a .safetensors file beside the index");
    }
    shards.insert(shard);
  }
  for (const std::string& shard : shards) reader.AddFile(path.parent_path() / shard);
  for (const auto& [name, value] : weight_map.value().items()) {
    if (reader.Find(name) == nullptr) {
      weight_map.Fail(name, "a shard that holds this tensor", "fetch the shards again");
    }
  }
  return reader;
}

const TensorView* SafetensorsReader::Find(std::string_view name) const {
  const auto entry = tensors_.find(name);
  return entry == tensors_.end() ? nullptr : &entry->second;
}

void WriteSafetensors(const fs::path& path, std::span<const DeclaredTensor> tensors,
                      const TensorBytesSource& source,
                      const std::map<std::string, std::string>& metadata) {
  const auto fail = [&path](const DeclaredTensor& tensor, const std::string& got) {
    throw Error({.where = path.string(),
                 .what = "cannot write tensor \"" + tensor.name + "\"",
                 .got = got + " for shape " + Json(tensor.shape).dump(),
                 .expected = "a unique name, and the bytes of its shape"});
  };
  // Wide types first, as the reference implementation has them, so that every tensor is aligned.
  std::vector<const DeclaredTensor*> order;
  for (const DeclaredTensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const DeclaredTensor* tensor) {
    return std::pair(-static_cast<int>(DTypeSize(tensor->dtype)), std::string_view(tensor->name));
  });

  Json json = Json::object();
  if (!metadata.empty()) json[kMetadataKey] = metadata;
  uint64_t end = 0;
  std::vector<uint64_t> sizes;  // in bytes, of each tensor of `order`
  for (const DeclaredTensor* tensor : order) {
    const std::optional<uint64_t> bytes = ByteSize(tensor->dtype, tensor->shape);
    if (!bytes) fail(*tensor, "2^63 bytes or more");
    if (tensor->name == kMetadataKey || json.contains(tensor->name)) fail(*tensor, "a name twice");
    json[tensor->name] = {{"dtype", DTypeName(tensor->dtype)},
                          {"shape", tensor->shape},
                          {"data_offsets", {end, end + *bytes}}};
    end += *bytes;
    sizes.push_back(*bytes);
  }
  std::string header = json.dump();
  const uint64_t unpadded = kLengthBytes + header.size();
  header.append((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment, ' ');

  AtomicFile file(path);
  const uint64_t header_bytes = header.size();
  file.Write(std::as_bytes(std::span(&header_bytes, 1)));
  file.Write(header);
  for (size_t i = 0; i < order.size(); ++i) {
    const std::span<const std::byte> bytes = source(*order[i]);
    if (bytes.size() != sizes[i]) fail(*order[i], std::to_string(bytes.size()) + " bytes");
    file.Write(bytes);
  }
  file.Commit();
}

void WriteSafetensors(const fs::path& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<DeclaredTensor> declared;
  std::map<std::string_view, std::span<const std::byte>> bytes;
  for (const auto& [name, tensor] : tensors) {
    declared.push_back({name, tensor.dtype, tensor.shape});
    bytes.emplace(name, tensor.bytes);
  }
  const auto source = [&](const DeclaredTensor& tensor) { return bytes.at(tensor.name); };
  WriteSafetensors(path, declared, source, metadata);
}

std::vector<float> ToFloat32(const TensorView& tensor, std::string_view where) {
  std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
  if (tensor.dtype == DType::kF32) {
    if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  if (tensor.dtype != DType::kBF16 && tensor.dtype != DType::kF16) {
    throw Error({.where = std::string(where),
                 .what = "tensor type",
                 .got = std::string(DTypeName(tensor.dtype)),
                 .expected = "F32, BF16 or F16"});
  }
  const bool is_bf16 = tensor.dtype == DType::kBF16;
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, tensor.bytes.data() + 2 * i, sizeof(bits));  // may be unaligned
    values[i] = is_bf16 ? BF16ToF32(bits) : F16ToF32(bits);
  }
  return values;
}

}  // namespace stocha
