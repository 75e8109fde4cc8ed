// stocha eval: how well a model predicts a text.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/model_source.h"
#include "stocha/eval/perplexity.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kDefaultContext = 1024;
// Larger numbers would not survive CLI11's conversion, which does not tell.
constexpr int64_t kMaxTokens = int64_t{1} << 40;

struct EvalFlags {
  EngineFlags engine;
  std::string file;
  int64_t context = 0;       // 0: kDefaultContext, or what the model has
  int64_t stride = 0;        // 0: half the context
  int64_t limit_tokens = 0;  // 0: all
  bool json = false;
};

PerplexityOptions MakeOptions(const EvalFlags& flags, const LoadedEngine& engine,
                              const Tokenizer& tokenizer) {
  PerplexityOptions options = {.activation = engine.activation, .seed = flags.engine.seed};
  options.context = flags.context != 0
                        ? flags.context
                        : std::min(kDefaultContext, engine.model.config().max_position_embeddings);
  options.stride = flags.stride != 0 ? flags.stride : std::max<int64_t>(options.context / 2, 1);
  // A special token, such as the one that begins a text, stands for none of its bytes.
  options.token_bytes = [&tokenizer](int32_t id) {
    return tokenizer.IsSpecial(id) ? 0 : static_cast<int64_t>(tokenizer.TokenBytes(id).size());
  };
  return options;
}

void Eval(const EvalFlags& flags) {
  LoadedEngine engine(flags.engine);
  const ModelConfig& config = engine.model.config();
  const Tokenizer tokenizer = LoadTokenizer(flags.engine.model);
  const PerplexityOptions options = MakeOptions(flags, engine, tokenizer);
  std::vector<int32_t> ids = tokenizer.Encode(ReadFile(flags.file));
  const auto limit = static_cast<size_t>(flags.limit_tokens);
  if (limit != 0 && ids.size() > limit) ids.resize(limit);
  if (ids.size() < 2) {
    throw Error({.where = flags.file,
                 .what = "nothing to score",
                 .got = std::to_string(ids.size()) + " tokens",
                 .expected = "2 or more"});
  }

  const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
  const auto start = std::chrono::steady_clock::now();
  const auto windows =
      static_cast<uint64_t>(CountWindows(static_cast<int64_t>(ids.size()), options));
  PerplexityResult result;
  {
    Progress progress({.label = "eval", .unit = "tok", .total = windows});
    result = Perplexity(
        engine.model, ids, options, engine.workspace, [&](const PerplexityResult& so_far) {
          progress.Update(static_cast<uint64_t>(so_far.windows), static_cast<double>(so_far.tokens),
                          fmt::format("perplexity {:.4f}", so_far.Perplexity()));
          return !stop.requested();
        });
  }
  if (stop.requested()) throw Error({.where = "eval", .what = "interrupted"});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  const std::vector<LayerStats>& layers = engine.workspace.stats;
  if (flags.json) {
    OrderedJson json = {{"perplexity", result.Perplexity()},
                        {"nll_per_token", result.NllPerToken()},
                        {"bits_per_byte", result.BitsPerByte()},
                        {"tokens", result.tokens},
                        {"bytes", result.bytes},
                        {"context", options.context},
                        {"stride", options.stride},
                        {"activation", ToString(options.activation)},
                        {"ffn", flags.engine.ffn},
                        {"threads", engine.pool.num_threads()},
                        {"seconds", seconds.count()},
                        {"sparsity", SparsityJson(layers, config)}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("perplexity    {:.4f}\n", result.Perplexity());
  fmt::print("nats a token  {:.4f}\n", result.NllPerToken());
  fmt::print("bits a byte   {:.4f}\n", result.BitsPerByte());
  fmt::print("scored        {} tokens, {} bytes; context {}, stride {}\n", result.tokens,
             result.bytes, options.context, options.stride);
  fmt::print("activation    {}\n", ToString(options.activation));
  fmt::print("silent        {:.1f} % of neurons; by layer:", 100 * MeanSparsity(layers, config));
  for (const LayerStats& layer : layers) {
    fmt::print(" {:.1f}", 100 * (1 - layer.ActiveFraction(config.intermediate_size)));
  }
  fmt::print("\n");
}

}  // namespace

void AddEvalCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* sub = app.add_subcommand("eval", "Measure how well a model predicts a text");
  AddEngineFlags(sub, &flags->engine);
  sub->add_option("--perplexity", flags->file, "text file to predict")->required();
  sub->add_option("--context", flags->context,
                  fmt::format("tokens a window; 0: {}, or the model's limit", kDefaultContext))
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokens));
  sub->add_option("--stride", flags->stride, "tokens between windows; 0: half a window")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokens));
  sub->add_option("--limit-tokens", flags->limit_tokens, "score the first tokens only; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokens));
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer("Example:\n  stocha eval models/demo --perplexity text.txt --context 512");
  sub->callback([flags, &run] { run = [flags] { Eval(*flags); }; });
}

}  // namespace stocha
