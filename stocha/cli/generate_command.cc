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
#include "stocha/cli/model_source.h"
#include "stocha/engine/generate.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Of tokens; larger numbers would not survive CLI11's conversion, which does not tell.
constexpr int64_t kMaxCount = int64_t{1} << 30;

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

OrderedJson PhaseJson(const PhaseStats& phase, const ModelConfig& config) {
  return {{"tokens", phase.tokens},
          {"seconds", phase.seconds},
          {"tokens_per_s", static_cast<double>(phase.tokens) / phase.seconds},
          {"sparsity", SparsityJson(phase.layers, config)}};
}

void PrintStats(const GenerateResult& result, const LoadedEngine& engine,
                const GenerateFlags& flags) {
  const ModelConfig& config = engine.model.config();
  const auto phase = [&config](std::string_view name, const PhaseStats& stats) {
    fmt::print(stderr, "{}: {} tokens in {:.3f} s, {:.1f} tok/s; {:.1f} % of neurons silent\n",
               name, stats.tokens, stats.seconds, static_cast<double>(stats.tokens) / stats.seconds,
               100 * MeanSparsity(stats.layers, config));
  };
  phase("prefill", result.prefill);
  if (result.decode.tokens > 0) phase("decode", result.decode);
  const PhaseStats& shown = result.decode.tokens > 0 ? result.decode : result.prefill;
  fmt::print(stderr, "activation {}, ffn {}, {} threads; silent neurons by layer, %:",
             ToString(engine.activation), flags.engine.ffn, engine.pool.num_threads());
  for (const LayerStats& layer : shown.layers) {
    fmt::print(stderr, " {:.1f}", 100 * (1 - layer.ActiveFraction(config.intermediate_size)));
  }
  fmt::print(stderr, "\n");
}

void PrintJson(const GenerateResult& result, const LoadedEngine& engine, const Tokenizer& tokenizer,
               const GenerateFlags& flags, size_t prompt_tokens) {
  const ModelConfig& config = engine.model.config();
  OrderedJson samples = OrderedJson::array();
  for (size_t i = 0; i < result.samples.size(); ++i) {
    const Sample& sample = result.samples[i];
    samples.push_back({{"text", tokenizer.Decode(sample.ids, /*skip_special=*/true)},
                       {"ids", sample.ids},
                       {"stop", StopReasonName(sample.stop)},
                       {"seed", flags.engine.seed + i}});
  }
  OrderedJson json = {{"samples", std::move(samples)},
                      {"prompt_tokens", prompt_tokens},
                      {"activation", ToString(engine.activation)},
                      {"ffn", flags.engine.ffn},
                      {"threads", engine.pool.num_threads()},
                      {"prefill", PhaseJson(result.prefill, config)}};
  if (result.decode.tokens > 0) json["decode"] = PhaseJson(result.decode, config);
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
  if (flags.stats) PrintStats(result, engine, flags);
}

}  // namespace

void AddGenerateCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<GenerateFlags>();
  GenerateOptions& options = flags->options;
  SamplerOptions& sampler = options.sampler;
  CLI::App* sub = app.add_subcommand("generate", "Continue a prompt");
  AddEngineFlags(sub, &flags->engine);
  sub->add_option("--prompt", flags->prompt, "the text to continue; -: standard input")->required();
  sub->add_option("--max-tokens", options.max_tokens, "at most so many new tokens")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, kMaxCount));
  sub->add_option("--temperature", sampler.temperature, "0: always the likeliest token")
      ->capture_default_str();
  sub->add_option("--top-k", sampler.top_k, "draw from the k likeliest; 0: from all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxCount));
  sub->add_option("--top-p", sampler.top_p, "draw from the likeliest that add up to p")
      ->capture_default_str();
  sub->add_option("--min-p", sampler.min_p,
                  "draw from those min-p times as likely as the likeliest")
      ->capture_default_str();
  sub->add_option("--repetition-penalty", sampler.repetition_penalty,
                  "above 1: tokens seen before become less likely")
      ->capture_default_str();
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
