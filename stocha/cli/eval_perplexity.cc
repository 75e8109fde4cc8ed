// stocha eval --perplexity.
#include <fmt/format.h>

#include <algorithm>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/progress.h"
#include "stocha/cli/eval_tasks.h"
#include "stocha/eval/perplexity.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

PerplexityResult ReadRecord(const Json& record, const std::string& where, int64_t windows) {
  const JsonObject object(record, where);
  PerplexityResult result;
  result.windows = windows;
  result.tokens = object.Integer("tokens", 1);
  result.bytes = object.Integer("bytes", 0);
  result.nll = object.Number("nll");
  return result;
}

PerplexityOptions MakeOptions(const EvalRun& run) {
  const EvalFlags& flags = run.flags;
  PerplexityOptions options = DefaultPerplexity(run.engine.model.config(), run.tokenizer);
  options.activation = run.engine.activation;
  options.seed = flags.engine.seed;
  if (flags.context != 0) options.context = flags.context;
  options.stride = flags.stride != 0 ? flags.stride : std::max<int64_t>(options.context / 2, 1);
  return options;
}

}  // namespace

PerplexityOptions DefaultPerplexity(const ModelConfig& config, const Tokenizer& tokenizer) {
  PerplexityOptions options;
  options.context = std::min(kDefaultContext, config.max_position_embeddings);
  options.stride = std::max<int64_t>(options.context / 2, 1);
  // A special token, such as the one that begins a text, stands for none of its bytes.
  options.token_bytes = [&tokenizer](int32_t id) {
    return tokenizer.IsSpecial(id) ? 0 : static_cast<int64_t>(tokenizer.TokenBytes(id).size());
  };
  return options;
}

OrderedJson RunPerplexity(EvalRun& run, int64_t task, const std::string& file) {
  PerplexityOptions options = MakeOptions(run);
  std::vector<int32_t> ids = run.tokenizer.Encode(ReadFile(file));
  const auto limit = static_cast<size_t>(run.flags.limit_tokens);
  if (limit != 0 && ids.size() > limit) ids.resize(limit);
  if (ids.size() < 2) {
    throw Error({.where = file,
                 .what = "nothing to score",
                 .got = std::to_string(ids.size()) + " tokens",
                 .expected = "2 or more"});
  }
  const int64_t windows = CountWindows(static_cast<int64_t>(ids.size()), options);
  while (const Json* record = run.log.Find(task, options.done.windows)) {
    if (options.done.windows == windows) break;
    options.done = ReadRecord(*record, run.flags.resume, options.done.windows + 1);
  }
  const PerplexityResult before = options.done;
  PerplexityResult result;
  {
    Progress progress({.label = "perplexity",
                       .unit = "tok",
                       .total = static_cast<uint64_t>(windows),
                       .start = static_cast<uint64_t>(before.windows)});
    result = Perplexity(
        run.engine.model, ids, options, run.engine.workspace, [&](const PerplexityResult& so_far) {
          progress.Update(static_cast<uint64_t>(so_far.windows),
                          static_cast<double>(so_far.tokens - before.tokens),
                          fmt::format("perplexity {:.4f}", so_far.Perplexity()));
          run.log.Add(task, so_far.windows - 1,
                      {{"tokens", so_far.tokens}, {"bytes", so_far.bytes}, {"nll", so_far.nll}});
          return !run.stop.requested();
        });
  }
  if (result.windows < windows) StopIfAsked(run);
  return {{"perplexity", result.Perplexity()},
          {"nll_per_token", result.NllPerToken()},
          {"bits_per_byte", result.BitsPerByte()},
          {"tokens", result.tokens},
          {"bytes", result.bytes},
          {"context", options.context},
          {"stride", options.stride}};
}

}  // namespace stocha
