// The flags of how the next token is drawn.
#ifndef STOCHA_CLI_SAMPLER_FLAGS_H_
#define STOCHA_CLI_SAMPLER_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>

#include "stocha/engine/sampler.h"

namespace stocha {

// Of tokens; larger numbers would not survive CLI11's conversion, which does not tell.
inline constexpr int64_t kMaxTokenCount = int64_t{1} << 30;

// --max-tokens.
void AddMaxTokensFlag(CLI::App* sub, int64_t* max_tokens);
// --temperature, --top-k, --top-p, --min-p, --repetition-penalty.
void AddSamplerFlags(CLI::App* sub, SamplerOptions* options);

}  // namespace stocha

#endif  // STOCHA_CLI_SAMPLER_FLAGS_H_
