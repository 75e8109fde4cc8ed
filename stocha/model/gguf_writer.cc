// The writing half of gguf.h.
#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <type_traits>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/model/gguf.h"
#include "stocha/model/gguf_format.h"

namespace stocha {
namespace {

constexpr uint64_t kAlignment = 64;  // of every tensor: a cache line

using Metadata = std::map<std::string, GgufValue, std::less<>>;

template <typename T>
void Append(std::string* out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendKind(std::string* out, GgufKind kind) { Append(out, static_cast<uint32_t>(kind)); }

void AppendString(std::string* out, std::string_view text) {
  Append(out, static_cast<uint64_t>(text.size()));
  out->append(text);
}

template <typename T>
bool Fits(int64_t value) {
  return std::in_range<T>(value);
}

// The narrow kind that single integers have in GGUF.
GgufKind KindOf(int64_t value) {
  if (Fits<uint32_t>(value)) return GgufKind::kUint32;
  if (Fits<int32_t>(value)) return GgufKind::kInt32;
  return value < 0 ? GgufKind::kInt64 : GgufKind::kUint64;
}

void AppendInteger(std::string* out, GgufKind kind, int64_t value) {
  if (kind == GgufKind::kUint32 || kind == GgufKind::kInt32) {
    Append(out, static_cast<uint32_t>(value));
  } else {
    Append(out, value);
  }
}

void AppendElements(std::string* out, const std::vector<int64_t>& values) {
  const bool narrow = std::ranges::all_of(values, Fits<int32_t>);
  const GgufKind kind = narrow ? GgufKind::kInt32 : GgufKind::kInt64;
  AppendKind(out, kind);
  Append(out, static_cast<uint64_t>(values.size()));
  for (const int64_t value : values) AppendInteger(out, kind, value);
}

void AppendElements(std::string* out, const std::vector<double>& values) {
  AppendKind(out, GgufKind::kFloat32);
  Append(out, static_cast<uint64_t>(values.size()));
  for (const double value : values) Append(out, static_cast<float>(value));
}

void AppendElements(std::string* out, const std::vector<std::string>& values) {
  AppendKind(out, GgufKind::kString);
  Append(out, static_cast<uint64_t>(values.size()));
  for (const std::string& value : values) AppendString(out, value);
}

void AppendElements(std::string* out, const std::vector<bool>& values) {
  AppendKind(out, GgufKind::kBool);
  Append(out, static_cast<uint64_t>(values.size()));
  for (const bool value : values) Append(out, static_cast<uint8_t>(value));
}

// A kind and a value of it.
void AppendValue(std::string* out, const GgufValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    const GgufKind kind = KindOf(*integer);
    AppendKind(out, kind);
    AppendInteger(out, kind, *integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    AppendKind(out, GgufKind::kFloat32);
    Append(out, static_cast<float>(*number));
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    AppendKind(out, GgufKind::kBool);
    Append(out, static_cast<uint8_t>(*truth));
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    AppendKind(out, GgufKind::kString);
    AppendString(out, *text);
  } else {
    AppendKind(out, GgufKind::kArray);
    std::visit([out](const auto& values) { AppendElements(out, values); },
               std::get<GgufArray>(value));
  }
}

}  // namespace

struct GgufWriter::Impl {
  explicit Impl(const std::filesystem::path& path) : where(path.string()), file(path) {}

  void Pad(uint64_t bytes) {
    constexpr std::array<std::byte, kAlignment> kZeros{};
    file.Write(std::span(kZeros).first(AlignGguf(bytes, kAlignment) - bytes));
  }

  std::string where;
  AtomicFile file;
  std::vector<std::pair<std::string, uint64_t>> tensors;  // name, bytes
  size_t next = 0;                                        // the tensor being written
  uint64_t written = 0;                                   // bytes of it
};

GgufWriter::GgufWriter(const std::filesystem::path& path, const Metadata& metadata,
                       const std::vector<Declared>& tensors)
    : impl_(std::make_unique<Impl>(path)) {
  const auto fail = [this](const std::string& what, const std::string& expected) {
    throw Error({.where = impl_->where, .what = "cannot write " + what, .expected = expected});
  };
  Metadata pairs = metadata;
  pairs[std::string(kGgufAlignmentKey)] = static_cast<int64_t>(kAlignment);
  std::string header;
  Append(&header, kGgufMagic);
  Append(&header, kGgufVersion);
  Append(&header, static_cast<uint64_t>(tensors.size()));
  Append(&header, static_cast<uint64_t>(pairs.size()));
  for (const auto& [key, value] : pairs) {
    if (const std::string fault = GgufNameFault(key); !fault.empty()) fail("a key", fault);
    AppendString(&header, key);
    AppendValue(&header, value);
  }
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const Declared& tensor : tensors) {
    const std::string what = "tensor \"" + tensor.name + "\"";
    if (const std::string fault = GgufNameFault(tensor.name); !fault.empty()) fail(what, fault);
    if (!names.insert(tensor.name).second) fail(what, "every name once");
    const std::optional<uint64_t> bytes = GgufTensorBytes(tensor.type, tensor.shape);
    if (!bytes || *bytes > (uint64_t{1} << 62) - offset) fail(what, "a shape of whole blocks");
    AppendString(&header, tensor.name);
    Append(&header, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      Append(&header, static_cast<uint64_t>(tensor.shape[i]));
    }
    Append(&header, static_cast<uint32_t>(tensor.type));
    Append(&header, offset);
    offset = AlignGguf(offset + *bytes, kAlignment);
    impl_->tensors.emplace_back(tensor.name, *bytes);
  }
  impl_->file.Write(header);
  impl_->Pad(header.size());
}

GgufWriter::~GgufWriter() = default;

void GgufWriter::Write(std::span<const std::byte> bytes) {
  Impl& impl = *impl_;
  if (bytes.empty()) return;
  if (impl.next == impl.tensors.size()) {
    throw Error({.where = impl.where, .what = "cannot write past the last tensor"});
  }
  const auto& [name, size] = impl.tensors[impl.next];
  if (bytes.size() > size - impl.written) {
    throw Error({.where = impl.where,
                 .what = "cannot write past the end of tensor \"" + name + "\"",
                 .got = std::to_string(bytes.size()) + " bytes",
                 .expected = "at most " + std::to_string(size - impl.written)});
  }
  impl.file.Write(bytes);
  impl.written += bytes.size();
  if (impl.written < size) return;
  impl.Pad(size);
  impl.written = 0;
  ++impl.next;
}

void GgufWriter::Finish() {
  if (impl_->next < impl_->tensors.size()) {
    throw Error({.where = impl_->where,
                 .what = "cannot finish",
                 .got = std::to_string(impl_->next) + " tensors",
                 .expected = std::to_string(impl_->tensors.size())});
  }
  impl_->file.Commit();
}

}  // namespace stocha
