// What a model's path may name: a model directory, a packed model, a GGUF. For commands that want
// its tokenizer or its weights as they are stored.
#ifndef STOCHA_CLI_MODEL_SOURCE_H_
#define STOCHA_CLI_MODEL_SOURCE_H_

#include <filesystem>
#include <string>

#include "stocha/base/error.h"
#include "stocha/engine/quantize.h"
#include "stocha/model/tokenizer.h"

namespace stocha {

// Whether there is a file at `path` that begins as a GGUF does, a packed model or another.
bool IsGguf(const std::filesystem::path& path);

// The tokenizer of a model directory or of a GGUF; throws Error when there is none.
Tokenizer LoadTokenizer(const std::string& model);

// What a GGUF, packed or not, says of its tokenizer; texts are empty where there is none.
struct TokenizerFiles {
  std::string tokenizer;         // of tokenizer.json
  std::string tokenizer_config;  // of tokenizer_config.json
  std::string chat_template;     // Jinja
};
TokenizerFiles LoadTokenizerFiles(const std::string& gguf);

// A model to read weights from; owns the mapping.
struct ModelSource {
  QuantizeSource source;
  // The type that down has where it is quantised along its own rows, as in a GGUF ("Q4_0"): its
  // transpose is rounded anew. Empty where it is not.
  std::string rounded_down;
};
// Without its tokenizer, that is not read either, whatever is wrong with it.
ModelSource OpenModelSource(const std::string& model, bool with_tokenizer);
// The same of a GGUF alone, a packed model too.
ModelSource OpenGgufSource(const std::string& file, bool with_tokenizer);

// The flag of commands that copy a model, for tokenizers that are not understood here.
inline constexpr const char* kNoTokenizerFlag = "--no-tokenizer";
inline constexpr const char* kNoTokenizerHelp = "leave the tokenizer out, readable or not";

// What `read` gives of a tokenizer; an Error of its says how to do without.
template <typename Read>
auto ReadingTokenizer(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw Error(error, std::string(kNoTokenizerFlag) + " leaves the tokenizer out");
  }
}

}  // namespace stocha

#endif  // STOCHA_CLI_MODEL_SOURCE_H_
