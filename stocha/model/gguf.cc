#include "stocha/model/gguf.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"
#include "stocha/model/gguf_format.h"

namespace stocha {
namespace {

constexpr size_t kMaxNameBytes = 65535;

struct TypeInfo {
  GgmlType type;
  std::string_view name;
  GgmlBlock block;
};
constexpr TypeInfo kTypes[] = {
    {GgmlType::kF32, "F32", {1, 4}},       {GgmlType::kF16, "F16", {1, 2}},
    {GgmlType::kQ4_0, "Q4_0", {32, 18}},   {GgmlType::kQ4_1, "Q4_1", {32, 20}},
    {GgmlType::kQ5_0, "Q5_0", {32, 22}},   {GgmlType::kQ8_0, "Q8_0", {32, 34}},
    {GgmlType::kQ4_K, "Q4_K", {256, 144}}, {GgmlType::kQ5_K, "Q5_K", {256, 176}},
    {GgmlType::kQ6_K, "Q6_K", {256, 210}}, {GgmlType::kI8, "I8", {1, 1}},
    {GgmlType::kBF16, "BF16", {1, 2}},
};

// The names of types that are not read, for errors that say which one it was.
constexpr std::pair<uint32_t, std::string_view> kOtherTypes[] = {
    {7, "Q5_1"},    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"},
    {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},
    {23, "IQ4_XS"}, {25, "I16"},     {26, "I32"},   {27, "I64"},    {28, "F64"},   {29, "IQ1_M"},
    {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"}, {40, "NVFP4"},  {41, "Q1_0"},
};

const TypeInfo& InfoOf(GgmlType type) { return *std::ranges::find(kTypes, type, &TypeInfo::type); }

const char* KindName(const GgufValue& value) {
  constexpr const char* kNames[] = {"an integer", "a number", "a bool", "a string", "an array"};
  return kNames[value.index()];
}

// `value`, at `key`, is not what was expected; nullptr: nothing is there.
[[noreturn]] void FailKey(std::string_view key, std::string_view where, const GgufValue* value,
                          const char* expected) {
  throw Error({.where = std::string(where),
               .what = "metadata \"" + std::string(key) + "\"",
               .got = value == nullptr ? "nothing" : KindName(*value),
               .expected = expected});
}

const GgufValue* FindValue(const GgufContent& content, std::string_view key) {
  const auto entry = content.metadata.find(key);
  return entry == content.metadata.end() ? nullptr : &entry->second;
}

}  // namespace

GgmlBlock BlockOf(GgmlType type) { return InfoOf(type).block; }

std::string_view GgmlTypeName(GgmlType type) { return InfoOf(type).name; }

std::optional<GgmlType> GgmlTypeFromNumber(uint32_t number) {
  const auto* found = std::ranges::find(kTypes, static_cast<GgmlType>(number), &TypeInfo::type);
  if (found == std::end(kTypes)) return std::nullopt;
  return found->type;
}

std::string GgmlNumberName(uint32_t number) {
  if (const auto type = GgmlTypeFromNumber(number)) return std::string(GgmlTypeName(*type));
  const auto* other = std::ranges::find(kOtherTypes, number, [](const auto& t) { return t.first; });
  return other == std::end(kOtherTypes) ? "type " + std::to_string(number)
                                        : std::string(other->second);
}

std::string GgufNameFault(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return "a name of 1 to " + std::to_string(kMaxNameBytes) + " bytes";
  }
  return IsUtf8(name) ? "" : "UTF-8";
}

std::optional<uint64_t> GgufTensorBytes(GgmlType type, const std::vector<int64_t>& shape) {
  const GgmlBlock block = BlockOf(type);
  if (shape.empty() || shape.size() > kGgufMaxDimensions) return std::nullopt;
  if (shape.back() % block.elements != 0) return std::nullopt;
  int64_t elements = 1;
  for (const int64_t size : shape) {
    if (size < 1 || __builtin_mul_overflow(elements, size, &elements)) return std::nullopt;
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / block.elements, block.bytes, &bytes)) return std::nullopt;
  if (bytes >= int64_t{1} << 62) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

int64_t GgufTensor::num_elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

const GgufTensor* GgufContent::Find(std::string_view name) const {
  const auto entry = index.find(name);
  return entry == index.end() ? nullptr : &tensors[entry->second];
}

GgufFile GgufFile::Open(const std::filesystem::path& path) {
  GgufFile opened{.path = path, .file = MappedFile::Open(path), .content = {}};
  opened.content = ParseGguf(opened.file.bytes(), path.string());
  return opened;
}

const std::string& GgufString(const GgufContent& content, std::string_view key,
                              std::string_view where) {
  const GgufValue* value = FindValue(content, key);
  if (value == nullptr || !std::holds_alternative<std::string>(*value)) {
    FailKey(key, where, value, "a string");
  }
  return std::get<std::string>(*value);
}

int64_t GgufInteger(const GgufContent& content, std::string_view key, std::string_view where) {
  const GgufValue* value = FindValue(content, key);
  if (value == nullptr || !std::holds_alternative<int64_t>(*value)) {
    FailKey(key, where, value, "an integer");
  }
  return std::get<int64_t>(*value);
}

double GgufNumber(const GgufContent& content, std::string_view key, std::string_view where) {
  const GgufValue* value = FindValue(content, key);
  if (value != nullptr && std::holds_alternative<int64_t>(*value)) {
    return static_cast<double>(std::get<int64_t>(*value));
  }
  if (value == nullptr || !std::holds_alternative<double>(*value)) {
    FailKey(key, where, value, "a number");
  }
  return std::get<double>(*value);
}

}  // namespace stocha
