// ggml's block formats, as values: what `quantize` and `convert` read. Not fast paths; the engine
// has layouts of its own (kernels/packed.h).
#ifndef STOCHA_MODEL_GGML_BLOCKS_H_
#define STOCHA_MODEL_GGML_BLOCKS_H_

#include <cstddef>
#include <span>

#include "stocha/model/gguf.h"

namespace stocha {

// Writes the values of whole blocks: bytes.size() / BlockOf(type).bytes * BlockOf(type).elements
// == out.size() (checked by the caller). Bit for bit the values of the `gguf` package's
// dequantize. Any type of GgmlType but kI8.
void DequantizeBlocks(GgmlType type, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace stocha

#endif  // STOCHA_MODEL_GGML_BLOCKS_H_
