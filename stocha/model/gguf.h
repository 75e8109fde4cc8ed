// GGUF: little-endian; a header, metadata (typed keys and values), a list of tensors, their data at
// aligned offsets. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
// Every number in a file is checked before it is used.
#ifndef STOCHA_MODEL_GGUF_H_
#define STOCHA_MODEL_GGUF_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "stocha/base/file.h"

namespace stocha {

// ggml's numbers; the types that stocha reads. Others are refused by name.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kI8 = 24,
  kBF16 = 30,
};

// What a type stores together: `elements` values in `bytes` bytes.
struct GgmlBlock {
  int64_t elements;
  int64_t bytes;
};
GgmlBlock BlockOf(GgmlType type);
std::string_view GgmlTypeName(GgmlType type);  // "Q8_0"

// A metadata value. Integers of every width are kept as int64_t (uint64_t above its range is
// refused), float64 and float32 as double; an array has elements of one kind.
using GgufArray = std::variant<std::vector<int64_t>, std::vector<double>, std::vector<std::string>,
                               std::vector<bool>>;
using GgufValue = std::variant<int64_t, double, bool, std::string, GgufArray>;

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;  // row-major: outermost first, the reverse of the file's order
  std::span<const std::byte> bytes;

  int64_t num_elements() const;
};

// The content of one file; views point into it. Names and keys are unique.
struct GgufContent {
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;                   // in the file's order
  std::map<std::string, size_t, std::less<>> index;  // of every name in `tensors`

  const GgufTensor* Find(std::string_view name) const;  // nullptr when absent
};

// A pure function of bytes: the fuzz target. Throws Error, `where` at its head, on a wrong magic or
// version, counts, lengths, types or offsets that the file cannot hold, duplicates, overlaps.
GgufContent ParseGguf(std::span<const std::byte> file, std::string_view where);

// A mapped file and its content. Immutable, thread-safe; movable, views stay valid.
struct GgufFile {
  std::filesystem::path path;
  MappedFile file;
  GgufContent content;

  static GgufFile Open(const std::filesystem::path& path);
};

// The metadata value of `key`; throws Error (naming `where` and the key) when it is absent or of
// another kind. An integer serves as a double.
const std::string& GgufString(const GgufContent& content, std::string_view key,
                              std::string_view where);
int64_t GgufInteger(const GgufContent& content, std::string_view key, std::string_view where);
double GgufNumber(const GgufContent& content, std::string_view key, std::string_view where);

// Writes a file (version 3, data aligned to 64 bytes) tensor by tensor, so that a model larger than
// memory can be written: declare everything first, then give the bytes of each tensor in order.
// Goes through AtomicFile: without Finish() nothing is left.
class GgufWriter {
 public:
  struct Declared {
    std::string name;
    GgmlType type;
    std::vector<int64_t> shape;  // row-major
  };
  // Writes the header. int64_t is stored as uint32 when it fits (int32 when negative), else in 64
  // bits; those of an array as int32 when all fit, else as int64; double as float32.
  GgufWriter(const std::filesystem::path& path,
             const std::map<std::string, GgufValue, std::less<>>& metadata,
             const std::vector<Declared>& tensors);
  ~GgufWriter();

  // Appends to the data of the next tensor that is not complete; never past its end.
  void Write(std::span<const std::byte> bytes);
  // Throws Error unless every tensor is complete. Flushes and renames.
  void Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stocha

#endif  // STOCHA_MODEL_GGUF_H_
