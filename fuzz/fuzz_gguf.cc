// GGUF: parsed or refused; every byte of every tensor then lies within the file and has a value.
// What is a model gives all its weights, and what is a tokenizer one that encodes, or is refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/model/ggml_blocks.h"
#include "stocha/model/gguf.h"
#include "stocha/model/gguf_model.h"
#include "stocha/model/gguf_tokenizer.h"
#include "stocha/model/tensors.h"

namespace {

using stocha::GgufContent;

void ReadModel(const GgufContent& content) {
  const stocha::GgufModel model({.path = "file", .file = {}, .content = content});
  for (const stocha::TensorSpec& spec : stocha::ListTensors(model.config())) {
    if (model.Read(spec).size() != static_cast<size_t>(spec.num_elements())) std::abort();
  }
}

// tokenizer.json has a target of its own; loading one here would take most of the time.
void ReadTokenizer(const GgufContent& content) { stocha::ReadGgufTokenizer(content, "file"); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  GgufContent content;
  try {
    content = stocha::ParseGguf(std::as_bytes(std::span(data, size)), "file");
  } catch (const stocha::Error&) {
    return 0;
  }
  size_t total = 0;
  for (const stocha::GgufTensor& tensor : content.tensors) {
    total += tensor.bytes.size();
    if (tensor.type == stocha::GgmlType::kI8) continue;
    std::vector<float> values(static_cast<size_t>(tensor.num_elements()));
    stocha::DequantizeBlocks(tensor.type, tensor.bytes, values);
  }
  if (total > size) std::abort();
  for (const auto& read : {ReadModel, ReadTokenizer}) {
    try {
      read(content);
    } catch (const stocha::Error&) {
      continue;
    }
  }
  return 0;
}
