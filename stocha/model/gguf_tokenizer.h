// The tokenizer of a GGUF as the files that Hugging Face keeps it in. GGUF has the tokens and the
// merges; how a text is cut beforehand it tells by name alone ("tokenizer.ggml.pre").
#ifndef STOCHA_MODEL_GGUF_TOKENIZER_H_
#define STOCHA_MODEL_GGUF_TOKENIZER_H_

#include <optional>
#include <string>
#include <string_view>

#include "stocha/model/gguf.h"

namespace stocha {

struct GgufTokenizer {
  std::string tokenizer_json;
  std::string tokenizer_config_json;  // the chat template, and the tokens that begin and end a text
};

// A pure function. Nothing when the file has no tokenizer. Throws Error, `where` at its head, on
// one that is no byte-level BPE of a known name, and on lists that contradict each other.
std::optional<GgufTokenizer> ReadGgufTokenizer(const GgufContent& content, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_MODEL_GGUF_TOKENIZER_H_
