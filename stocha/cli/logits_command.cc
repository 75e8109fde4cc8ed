// stocha logits: what a model says after each of some tokens, as a safetensors file. For comparing
// with other implementations.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/engine/kv_cache.h"
#include "stocha/model/safetensors.h"

namespace stocha {
namespace {

struct LogitsFlags {
  EngineFlags engine;
  std::vector<int64_t> ids;
  std::string output;
};

void WriteLogits(const LogitsFlags& flags) {
  LoadedEngine engine(flags.engine);
  const ModelConfig& config = engine.model.config();
  const std::vector<int32_t> ids = CheckIds(flags.ids, config);
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t bytes = tokens * config.vocab_size * int64_t{sizeof(float)};
  RequireMemory(bytes, AvailableMemory(), "--ids", "the logits of this many tokens");

  KvCache cache(config, tokens);
  const Buffer<float> logits(tokens * config.vocab_size);
  const Step step = {.cache = &cache,
                     .tokens = ids,
                     .activation = engine.activation,
                     .seed = flags.engine.seed,
                     .wanted = LogitsWanted::kAll,
                     .logits = logits.data()};
  engine.model.Forward({&step, 1}, engine.workspace);
  const NamedTensor tensor = {
      "logits",
      {.dtype = DType::kF32,
       .shape = {tokens, config.vocab_size},
       .bytes = std::as_bytes(std::span(logits.data(), static_cast<size_t>(logits.size())))}};
  WriteSafetensors(flags.output, {&tensor, 1}, {{"activation", ToString(engine.activation)}});
}

}  // namespace

void AddLogitsCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<LogitsFlags>();
  CLI::App* sub = app.add_subcommand("logits", "Write a model's logits for given token ids");
  AddEngineFlags(sub, &flags->engine);
  sub->add_option("--ids", flags->ids, "token ids, separated by commas")
      ->required()
      ->delimiter(',');
  sub->add_option("--output", flags->output,
                  "safetensors file; tensor \"logits\", [tokens, vocab_size], F32")
      ->required();
  sub->footer("Example:\n  stocha logits models/demo --ids 1,2,3 --output logits.safetensors");
  sub->callback([flags, &run] { run = [flags] { WriteLogits(*flags); }; });
}

}  // namespace stocha
