// Speed and silent neurons of what was generated, as the commands show them.
#ifndef STOCHA_CLI_GENERATION_STATS_H_
#define STOCHA_CLI_GENERATION_STATS_H_

#include <nlohmann/json.hpp>
#include <string>

#include "stocha/cli/engine_flags.h"
#include "stocha/engine/generate.h"
#include "stocha/model/config.h"

namespace stocha {

nlohmann::ordered_json PhaseJson(const PhaseStats& phase, const ModelConfig& config);

// "activation", "ffn", "threads", "prefill" and, where there was one, "decode".
void AddGenerationJson(nlohmann::ordered_json* json, const PhaseStats& prefill,
                       const PhaseStats& decode, const LoadedEngine& engine,
                       const EngineFlags& flags);

// On standard error; `decode` may have no tokens.
void PrintGenerationStats(const PhaseStats& prefill, const PhaseStats& decode,
                          const LoadedEngine& engine, const EngineFlags& flags);

}  // namespace stocha

#endif  // STOCHA_CLI_GENERATION_STATS_H_
