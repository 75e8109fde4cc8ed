// Packed models: a file is parsed or refused; the first and last rows of every tensor then lie
// within it.
#include <cstddef>
#include <cstdint>
#include <span>

#include "stocha/base/error.h"
#include "stocha/engine/packed_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const stocha::GgufContent content =
        stocha::ParseGguf(std::as_bytes(std::span(data, size)), "file");
    const stocha::PackedModel model = stocha::ParsePackedModel(content, "file");
    for (const stocha::TensorSpec& spec : stocha::ListTensors(model.header.config)) {
      stocha::UnpackRows(model.weights, spec, 0, 1);
      stocha::UnpackRows(model.weights, spec, spec.shape[0] - 1, 1);
    }
  } catch (const stocha::Error&) {
    return 0;
  }
  return 0;
}
