// stocha generate: text from a prompt, streamed as it comes.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/stop_signal.h"
#include "stocha/base/utf8.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/generation_stats.h"
#include "stocha/cli/model_source.h"
#include "stocha/cli/sampler_flags.h"
#include "stocha/engine/generate.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct GenerateFlags {
  EngineFlags engine;
  std::string prompt;
  GenerateOptions options;
  bool activation_prompt = false;
  bool ignore_eos = false;
  bool stats = false;
  bool json = false;
};

std::string ReadPrompt(const std::string& flag) {
  if (flag != "-") return flag;
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

void Print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void PrintJson(const GenerateResult& result, const LoadedEngine& engine, const Tokenizer& tokenizer,
               const GenerateFlags& flags, size_t prompt_tokens) {
  OrderedJson samples = OrderedJson::array();
  for (size_t i = 0; i < result.samples.size(); ++i) {
    const Sample& sample = result.samples[i];
    samples.push_back({{"text", tokenizer.Decode(sample.ids, /*skip_special=*/true)},
                       {"ids", sample.ids},
                       {"stop", StopReasonName(sample.stop)},
                       {"seed", flags.engine.seed + i}});
  }
  OrderedJson json = {{"samples", std::move(samples)}, {"prompt_tokens", prompt_tokens}};
  AddGenerationJson(&json, result.prefill, result.decode, engine, flags.engine);
  Print(json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

void RunGenerate(const GenerateFlags& flags) {
  ValidateSamplerOptions(flags.options.sampler);
  LoadedEngine engine(flags.engine);
  const ModelConfig& config = engine.model.config();
  const Tokenizer tokenizer = LoadTokenizer(flags.engine.model);
  const std::vector<int32_t> prompt = tokenizer.Encode(ReadPrompt(flags.prompt));

  GenerateOptions options = flags.options;
  options.seed = flags.engine.seed;
  options.activation = engine.activation;
  options.prompt_activation = flags.activation_prompt ? engine.activation : config.activation;
  if (!flags.ignore_eos) options.stop_ids = config.eos_token_ids;

  // One sample streams; several would mix, and are printed when all are done.
  const bool stream = options.num_samples == 1 && !flags.json;
  StreamDecoder decoder(tokenizer);
  const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
  const GenerateResult result = Generate(
      engine.model, prompt, options, engine.workspace,
      [&](int64_t, int32_t id) {
        if (stream) Print(decoder.Push(id));
      },
      [&stop] { return stop.requested(); });

  if (flags.json) {
    PrintJson(result, engine, tokenizer, flags, prompt.size());
  } else if (stream) {
    Print(decoder.Finish() + "\n");
  } else {
    for (size_t i = 0; i < result.samples.size(); ++i) {
      Print(fmt::format("--- sample {}, seed {} ---\n{}\n", i + 1, flags.engine.seed + i,
                        tokenizer.Decode(result.samples[i].ids, /*skip_special=*/true)));
    }
  }
  if (flags.stats) PrintGenerationStats(result.prefill, result.decode, engine, flags.engine);
}

}  // namespace

void AddGenerateCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<GenerateFlags>();
  GenerateOptions& options = flags->options;
  CLI::App* sub = app.add_subcommand("generate", "Continue a prompt");
  AddEngineFlags(sub, &flags->engine);
  sub->add_option("--prompt", flags->prompt, "the text to continue; -: standard input")->required();
  AddMaxTokensFlag(sub, &options.max_tokens);
  AddSamplerFlags(sub, &options.sampler);
  sub->add_option("--num-samples", options.num_samples, "samples, with seeds SEED, SEED + 1 ...")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  sub->add_flag("--activation-prompt", flags->activation_prompt,
                "use --activation for the prompt too, not only for new tokens");
  sub->add_flag("--ignore-eos", flags->ignore_eos, "do not stop at an end-of-text token");
  sub->add_flag("--stats", flags->stats, "speed and silent neurons, on standard error");
  sub->add_flag("--json", flags->json, "print text, ids and statistics as JSON");
  sub->footer(
      "Example:\n  stocha generate models/demo --prompt \"In the beginning\" --temperature 0.8 "
      "--top-p 0.95\n  stocha generate models/demo --prompt \"In the beginning\" --activation "
      "stocha:0.7 --num-samples 4");
  sub->callback([flags, &run] { run = [flags] { RunGenerate(*flags); }; });
}

}  // namespace stocha
