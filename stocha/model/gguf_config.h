// The config of a model out of a GGUF's metadata, for the architectures llama, qwen2 and qwen3.
#ifndef STOCHA_MODEL_GGUF_CONFIG_H_
#define STOCHA_MODEL_GGUF_CONFIG_H_

#include <string_view>

#include "stocha/model/config.h"
#include "stocha/model/gguf.h"

namespace stocha {

// llama.cpp computes SiLU whatever the model was trained with, so that is the activation. Llama 3's
// RoPE scaling, which GGUF stores as a factor a frequency ("rope_freqs.weight"), is recovered.
// dtype is that of the stored matrices where they all have one, else kF32.
//
// A pure function. Throws Error, `where` at its head, on another architecture, missing or
// impossible values, and metadata of the architecture that asks for something not computed here.
ModelConfig GgufModelConfig(const GgufContent& content, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_MODEL_GGUF_CONFIG_H_
