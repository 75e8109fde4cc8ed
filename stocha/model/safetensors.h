// safetensors: 8 bytes of header length (little-endian), a JSON header, the data.
// https://github.com/huggingface/safetensors, "Format". Read by mmap, one file or a sharded index;
// written aside and renamed. Every number in a header is checked before it is used.
#ifndef STOCHA_MODEL_SAFETENSORS_H_
#define STOCHA_MODEL_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/base/file.h"

namespace stocha {

// A tensor inside a mapped file or in the caller's memory; does not own `bytes`. `bytes` may be
// unaligned for its type when it comes from a file written by others.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // row-major
  std::span<const std::byte> bytes;

  int64_t num_elements() const;
};

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

// The tensors of one .safetensors file, or of all files of an index. Immutable, so thread-safe;
// views live as long as this object.
class SafetensorsReader {
 public:
  // `path`: a .safetensors file, a model.safetensors.index.json, or a folder that holds one of
  // them. Throws Error on a missing file and on any contradiction: offsets past the end,
  // overlapping or with gaps, sizes that do not match shapes, duplicate names, unknown types,
  // absurd headers, an index that names what its shards do not hold.
  static SafetensorsReader Open(const std::filesystem::path& path);

  // Sorted by name.
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const TensorView* Find(std::string_view name) const;  // nullptr when absent
  // "__metadata__", all files' merged.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  void AddFile(const std::filesystem::path& path);

  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

// The header of one file, checked against the file's size. A pure function of bytes: the fuzz
// target. Views point into `file`.
struct SafetensorsHeader {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};
SafetensorsHeader ParseSafetensors(std::span<const std::byte> file, std::string_view where);

// A tensor whose bytes are asked for when it is its turn to be written, so that a model larger than
// memory can be written. They are read before the next call; throws Error unless they are the bytes
// of the shape.
struct DeclaredTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // row-major
};
using TensorBytesSource = std::function<std::span<const std::byte>(const DeclaredTensor&)>;

// Writes all tensors to one file through AtomicFile; data starts at a multiple of 64 bytes.
void WriteSafetensors(const std::filesystem::path& path, std::span<const DeclaredTensor> tensors,
                      const TensorBytesSource& source,
                      const std::map<std::string, std::string>& metadata = {});
void WriteSafetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata = {});

// num_elements values as float32; throws Error (naming `where`) unless dtype is F32, BF16 or F16.
std::vector<float> ToFloat32(const TensorView& tensor, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_MODEL_SAFETENSORS_H_
