// What a model's path may name: a model directory, a packed model, a GGUF. For commands that want
// its tokenizer or its weights as they are stored.
#ifndef STOCHA_CLI_MODEL_SOURCE_H_
#define STOCHA_CLI_MODEL_SOURCE_H_

#include <filesystem>
#include <string>

#include "stocha/engine/quantize.h"
#include "stocha/model/tokenizer.h"

namespace stocha {

// Whether there is a file at `path` that begins as a GGUF does, a packed model or another.
bool IsGguf(const std::filesystem::path& path);

// The tokenizer of a model directory or of a GGUF; throws Error when there is none.
Tokenizer LoadTokenizer(const std::string& model);

// A model to read weights from; owns the mapping.
struct ModelSource {
  QuantizeSource source;
  // The type that down has where it is quantised along its own rows, as in a GGUF ("Q4_0"): its
  // transpose is rounded anew. Empty where it is not.
  std::string rounded_down;
};
ModelSource OpenModelSource(const std::string& model);
// The same of a GGUF alone, a packed model too.
ModelSource OpenGgufSource(const std::string& file);

}  // namespace stocha

#endif  // STOCHA_CLI_MODEL_SOURCE_H_
