// The reading half of gguf.h: a walk over the bytes of a file.
#include <algorithm>
#include <cstring>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"
#include "stocha/model/gguf.h"
#include "stocha/model/gguf_format.h"

namespace stocha {
namespace {

constexpr uint64_t kMinPairBytes = 8 + 4 + 1;        // an empty key, a kind, a byte
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;  // an empty name, no sizes, type, offset
constexpr uint64_t kMaxArrayElements = uint64_t{1} << 26;

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// The fewest bytes that a value of `kind` takes; 0 for what is no kind of a single value.
uint64_t MinBytes(GgufKind kind) {
  switch (kind) {
    case GgufKind::kUint8:
    case GgufKind::kInt8:
    case GgufKind::kBool:
      return 1;
    case GgufKind::kUint16:
    case GgufKind::kInt16:
      return 2;
    case GgufKind::kUint32:
    case GgufKind::kInt32:
    case GgufKind::kFloat32:
      return 4;
    case GgufKind::kUint64:
    case GgufKind::kInt64:
    case GgufKind::kFloat64:
    case GgufKind::kString:  // its length
      return 8;
    case GgufKind::kArray:
      return 0;
  }
  return 0;
}

// Walks a file from its start; nothing is believed before it was found to fit.
class Reader {
 public:
  Reader(std::span<const std::byte> file, std::string_view where) : file_(file), where_(where) {}

  GgufContent Read();

 private:
  struct Placed {
    size_t tensor;  // in content_.tensors
    uint64_t offset;
    uint64_t bytes;
  };

  [[noreturn]] void Fail(const std::string& what, const std::string& got,
                         const std::string& expected) const {
    throw Error({.where = where_,
                 .what = what,
                 .got = got,
                 .expected = expected,
                 .hint = "the file is damaged or no GGUF; fetch or write it again"});
  }

  uint64_t remaining() const { return file_.size() - offset_; }

  std::span<const std::byte> Take(uint64_t count, const std::string& what) {
    if (count > remaining()) {
      Fail(what + " goes past the end of the file", std::to_string(count) + " bytes",
           "at most " + std::to_string(remaining()));
    }
    const auto taken = file_.subspan(offset_, count);
    offset_ += count;
    return taken;
  }

  template <typename T>
  T Number(const std::string& what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  // How many items follow, each of at least `min_bytes`.
  uint64_t Count(uint64_t min_bytes, uint64_t max, const std::string& what) {
    const auto count = Number<uint64_t>(what);
    const uint64_t limit = std::min(max, remaining() / min_bytes);
    if (count > limit) Fail(what, std::to_string(count), "at most " + std::to_string(limit));
    return count;
  }

  std::string String(const std::string& what) {
    const auto length = Number<uint64_t>(what);
    const auto bytes = Take(length, what);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!IsUtf8(text)) Fail(what, Quoted(text), "UTF-8");
    return text;
  }

  std::string Name(const std::string& what) {
    std::string name = String(what);
    const std::string fault = GgufNameFault(name);
    if (!fault.empty()) Fail(what, Quoted(name.substr(0, 40)), fault);
    return name;
  }

  int64_t Integer(GgufKind kind, const std::string& what);
  double Float(GgufKind kind, const std::string& what) {
    return kind == GgufKind::kFloat32 ? Number<float>(what) : Number<double>(what);
  }
  bool Bool(const std::string& what);
  GgufKind Kind(const std::string& what);
  GgufArray Array(const std::string& what);
  GgufValue Value(const std::string& what);

  void ReadHeader();
  void ReadMetadata(uint64_t count);
  void ReadTensor();
  uint64_t Alignment() const;
  void PlaceTensors();

  std::span<const std::byte> file_;
  std::string where_;
  uint64_t offset_ = 0;
  uint64_t num_tensors_ = 0;
  uint64_t num_pairs_ = 0;
  std::vector<Placed> placed_;
  GgufContent content_;
};

int64_t Reader::Integer(GgufKind kind, const std::string& what) {
  switch (kind) {
    case GgufKind::kUint8:
      return Number<uint8_t>(what);
    case GgufKind::kInt8:
      return Number<int8_t>(what);
    case GgufKind::kUint16:
      return Number<uint16_t>(what);
    case GgufKind::kInt16:
      return Number<int16_t>(what);
    case GgufKind::kUint32:
      return Number<uint32_t>(what);
    case GgufKind::kInt32:
      return Number<int32_t>(what);
    case GgufKind::kInt64:
      return Number<int64_t>(what);
    default:
      break;
  }
  const auto value = Number<uint64_t>(what);
  if (value > INT64_MAX) Fail(what, std::to_string(value), "at most 2^63 - 1");
  return static_cast<int64_t>(value);
}

bool Reader::Bool(const std::string& what) {
  const auto value = Number<uint8_t>(what);
  if (value > 1) Fail(what, std::to_string(value), "a bool, 0 or 1");
  return value == 1;
}

GgufKind Reader::Kind(const std::string& what) {
  const auto number = Number<uint32_t>(what);
  if (number > static_cast<uint32_t>(GgufKind::kFloat64)) {
    Fail(what, "kind " + std::to_string(number), "a kind from 0 to 12");
  }
  return static_cast<GgufKind>(number);
}

GgufArray Reader::Array(const std::string& what) {
  const GgufKind kind = Kind(what);
  if (kind == GgufKind::kArray) Fail(what, "an array of arrays", "an array of single values");
  const uint64_t count = Count(MinBytes(kind), kMaxArrayElements, what + ", array length");
  const auto read = [count](auto values, const auto& next) {
    values.reserve(count);
    for (uint64_t i = 0; i < count; ++i) values.push_back(next());
    return values;
  };
  switch (kind) {
    case GgufKind::kString:
      return read(std::vector<std::string>(), [&] { return String(what); });
    case GgufKind::kBool:
      return read(std::vector<bool>(), [&] { return Bool(what); });
    case GgufKind::kFloat32:
    case GgufKind::kFloat64:
      return read(std::vector<double>(), [&] { return Float(kind, what); });
    default:
      return read(std::vector<int64_t>(), [&] { return Integer(kind, what); });
  }
}

GgufValue Reader::Value(const std::string& what) {
  const GgufKind kind = Kind(what);
  switch (kind) {
    case GgufKind::kArray:
      return Array(what);
    case GgufKind::kString:
      return String(what);
    case GgufKind::kBool:
      return Bool(what);
    case GgufKind::kFloat32:
    case GgufKind::kFloat64:
      return Float(kind, what);
    default:
      return Integer(kind, what);
  }
}

void Reader::ReadHeader() {
  if (file_.size() < 4 || Number<uint32_t>("magic") != kGgufMagic) {
    Fail("no GGUF", file_.empty() ? "an empty file" : "other first bytes", "\"GGUF\"");
  }
  const auto version = Number<uint32_t>("version");
  if (version != 2 && version != kGgufVersion) {
    const bool swapped = version != 0 && (version & 0xFFFF) == 0;
    Fail("version", swapped ? "a big-endian file" : std::to_string(version),
         "2 or 3, little-endian");
  }
  num_tensors_ = Number<uint64_t>("number of tensors");
  num_pairs_ = Count(kMinPairBytes, UINT64_MAX, "number of metadata keys");
  const uint64_t limit = remaining() / kMinTensorBytes;
  if (num_tensors_ > limit) {
    Fail("number of tensors", std::to_string(num_tensors_), "at most " + std::to_string(limit));
  }
}

void Reader::ReadMetadata(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    std::string key = Name("metadata key " + std::to_string(i));
    const std::string what = "metadata " + Quoted(key);
    GgufValue value = Value(what);
    const auto [entry, added] = content_.metadata.emplace(std::move(key), std::move(value));
    if (!added) Fail(what, "the key twice", "every key once");
  }
}

void Reader::ReadTensor() {
  GgufTensor tensor;
  tensor.name = Name("tensor " + std::to_string(content_.tensors.size()));
  const std::string what = "tensor " + Quoted(tensor.name);
  const auto dimensions = Number<uint32_t>(what);
  if (dimensions < 1 || dimensions > kGgufMaxDimensions) {
    Fail(what, std::to_string(dimensions) + " dimensions",
         "1 to " + std::to_string(kGgufMaxDimensions));
  }
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = Number<uint64_t>(what);
    if (size < 1 || size > INT64_MAX) Fail(what, "size " + std::to_string(size), "1 to 2^63 - 1");
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
  }
  const auto number = Number<uint32_t>(what);
  const std::optional<GgmlType> type = GgmlTypeFromNumber(number);
  if (!type) {
    throw Error({.where = where_,
                 .what = what + " has a type that is not read",
                 .got = GgmlNumberName(number),
                 .expected = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q4_K, Q5_K, Q6_K or I8"});
  }
  tensor.type = *type;
  const auto offset = Number<uint64_t>(what);
  const std::optional<uint64_t> bytes = GgufTensorBytes(tensor.type, tensor.shape);
  if (!bytes) {
    Fail(
        what, "a row of " + std::to_string(tensor.shape.back()) + " values",
        "whole blocks of " + std::to_string(BlockOf(*type).elements) + ", below 2^62 bytes in all");
  }
  placed_.push_back({content_.tensors.size(), offset, *bytes});
  content_.tensors.push_back(std::move(tensor));
}

uint64_t Reader::Alignment() const {
  const auto entry = content_.metadata.find(kGgufAlignmentKey);
  if (entry == content_.metadata.end()) return kGgufDefaultAlignment;
  const int64_t value = GgufInteger(content_, kGgufAlignmentKey, where_);
  if (value < 1 || value > static_cast<int64_t>(kGgufMaxAlignment) || (value & (value - 1)) != 0) {
    Fail("metadata " + Quoted(kGgufAlignmentKey), std::to_string(value),
         "a power of two up to " + std::to_string(kGgufMaxAlignment));
  }
  return static_cast<uint64_t>(value);
}

// Gives every tensor its bytes. None may reach into another's or past the end.
void Reader::PlaceTensors() {
  const uint64_t alignment = Alignment();
  const uint64_t start = std::min<uint64_t>(AlignGguf(offset_, alignment), file_.size());
  const std::span<const std::byte> data = file_.subspan(start);
  std::ranges::sort(placed_, {}, &Placed::offset);
  uint64_t end = 0;
  for (const Placed& place : placed_) {
    GgufTensor& tensor = content_.tensors[place.tensor];
    const std::string what = "tensor " + Quoted(tensor.name);
    const std::string got = "offset " + std::to_string(place.offset);
    const bool added = content_.index.emplace(tensor.name, place.tensor).second;
    if (!added) Fail(what, "the name twice", "every name once");
    if (place.offset % alignment != 0) {
      Fail(what, got, "a multiple of " + std::to_string(alignment));
    }
    if (place.offset < end) Fail(what + " overlaps another", got, std::to_string(end));
    if (place.offset > data.size() || place.bytes > data.size() - place.offset) {
      Fail(what + " ends past the end of the file",
           got + ", " + std::to_string(place.bytes) + " bytes",
           std::to_string(data.size()) + " bytes of data at most");
    }
    tensor.bytes = data.subspan(place.offset, place.bytes);
    end = place.offset + place.bytes;
  }
}

GgufContent Reader::Read() {
  ReadHeader();
  ReadMetadata(num_pairs_);
  for (uint64_t i = 0; i < num_tensors_; ++i) ReadTensor();
  PlaceTensors();
  return std::move(content_);
}

}  // namespace

GgufContent ParseGguf(std::span<const std::byte> file, std::string_view where) {
  return Reader(file, where).Read();
}

}  // namespace stocha
