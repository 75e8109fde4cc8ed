// safetensors: a header is parsed or refused; every byte of every tensor then lies within the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/model/safetensors.h"

namespace {

void Parse(std::span<const uint8_t> file) {
  stocha::SafetensorsHeader header;
  try {
    header = stocha::ParseSafetensors(std::as_bytes(file), "file");
  } catch (const stocha::Error&) {
    return;
  }
  size_t total = 0;
  for (const auto& [name, tensor] : header.tensors) {
    const size_t elements = static_cast<size_t>(tensor.num_elements());
    if (elements * stocha::DTypeSize(tensor.dtype) != tensor.bytes.size()) std::abort();
    total += tensor.bytes.size();
    try {
      stocha::ToFloat32(tensor, name);
    } catch (const stocha::Error&) {
      continue;  // an integer type
    }
  }
  if (total > file.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Parse({data, size});
  // Almost every mutation makes the length at the start a lie; set right, the rest is reached too.
  if (size < 8) return 0;
  std::vector<uint8_t> file(data, data + size);
  const auto last_brace = std::find(file.rbegin(), std::prev(file.rend(), 8), '}');
  const auto length = static_cast<uint64_t>(std::distance(file.begin() + 8, last_brace.base()));
  std::memcpy(file.data(), &length, sizeof(length));
  Parse(file);
  return 0;
}
