// What gguf.cc and gguf_writer.cc both need to know of the format: numbers, names and limits.
#ifndef STOCHA_MODEL_GGUF_FORMAT_H_
#define STOCHA_MODEL_GGUF_FORMAT_H_

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/model/gguf.h"

namespace stocha {

static_assert(std::endian::native == std::endian::little, "GGUF is read and written in place");

inline constexpr uint32_t kGgufMagic = 0x46554747;  // "GGUF"
inline constexpr uint32_t kGgufVersion = 3;         // written; 2 is read too and differs in nothing
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr uint64_t kGgufMaxAlignment = 1 << 16;
inline constexpr size_t kGgufMaxDimensions = 4;

// The kind of a metadata value or of an array's elements.
enum class GgufKind : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Where the next tensor's data may begin.
constexpr uint64_t AlignGguf(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

// Nothing for a type that is not read.
std::optional<GgmlType> GgmlTypeFromNumber(uint32_t number);
// "Q2_K", of types that are not read too; "type 77" where ggml has none.
std::string GgmlNumberName(uint32_t number);

// Why `name` cannot name a key or a tensor; empty when it can.
std::string GgufNameFault(std::string_view name);

// The bytes of a tensor; nothing when it cannot be: not 1 to kGgufMaxDimensions sizes of at least
// 1, rows of no whole number of blocks, 2^62 bytes or more.
std::optional<uint64_t> GgufTensorBytes(GgmlType type, const std::vector<int64_t>& shape);

}  // namespace stocha

#endif  // STOCHA_MODEL_GGUF_FORMAT_H_
