#include "stocha/cli/eval_tasks.h"

#include <algorithm>
#include <chrono>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/sha256.h"
#include "stocha/eval/fingerprint.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson RunKind(EvalRun& run, int64_t task) {
  const EvalTask& what = run.flags.tasks[task];
  switch (what.kind) {
    case EvalKind::kPerplexity:
      return RunPerplexity(run, task, what.file);
    case EvalKind::kChoice:
      return RunChoice(run, task, what.file);
    case EvalKind::kLambada:
      return RunLambada(run, task, what.file);
    case EvalKind::kQa:
      return RunQa(run, task, what.file);
  }
  return {};
}

}  // namespace

int64_t SamplesDrawn(const EvalFlags& flags) { return std::ranges::max(flags.samples); }

std::string_view EvalKindName(EvalKind kind) {
  switch (kind) {
    case EvalKind::kPerplexity:
      return "perplexity";
    case EvalKind::kChoice:
      return "choice";
    case EvalKind::kLambada:
      return "lambada";
    case EvalKind::kQa:
      return "qa";
  }
  return "?";
}

OrderedJson DescribeTask(const EvalFlags& flags, const EvalTask& task) {
  OrderedJson json = {{"kind", EvalKindName(task.kind)}, {"sha256", Sha256HexOfFile(task.file)}};
  if (task.kind == EvalKind::kPerplexity) {
    json["context"] = flags.context;
    json["stride"] = flags.stride;
    json["limit_tokens"] = flags.limit_tokens;
  } else if (task.kind == EvalKind::kChoice) {
    json["delimiter"] = flags.delimiter;
  } else if (task.kind == EvalKind::kQa) {
    json["shots"] = flags.shots;
    json["samples"] = SamplesDrawn(flags);
    json["max_tokens"] = flags.max_tokens;
    json["temperature"] = flags.sampler.temperature;
    json["draw_prompt"] = flags.draw_prompt;
  }
  return json;
}

OrderedJson RunTask(EvalRun& run, int64_t task) {
  const EvalTask& what = run.flags.tasks[task];
  std::vector<LayerStats>& layers = run.engine.workspace.stats;
  std::ranges::fill(layers, LayerStats());
  const auto start = std::chrono::steady_clock::now();
  const OrderedJson result = RunKind(run, task);
  run.log.Flush();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  OrderedJson json = {{"kind", EvalKindName(what.kind)}, {"file", what.file}};
  json.update(result);
  json["seconds"] = seconds.count();
  // Nothing ran where the log had every result.
  const bool ran = layers.front().tokens > 0;
  json["sparsity"] = ran ? SparsityJson(layers, run.engine.model.config()) : OrderedJson::array();
  return json;
}

void StopIfAsked(const EvalRun& run) {
  if (!run.stop.requested()) return;
  run.log.Flush();
  throw Error({.where = "eval",
               .what = "interrupted",
               .hint = run.flags.resume.empty() ? "" : "the same command goes on from here"});
}

std::vector<int64_t> MissingExamples(const EvalRun& run, int64_t task, int64_t examples) {
  std::vector<int64_t> missing;
  for (int64_t i = 0; i < examples; ++i) {
    if (run.log.Find(task, i) == nullptr) missing.push_back(i);
  }
  return missing;
}

uint64_t ExampleSeed(const EvalRun& run, int64_t example) {
  return run.flags.engine.seed + (static_cast<uint64_t>(example) << 32);
}

std::string NameExample(const std::string& file, int64_t example) {
  return file + ": example " + std::to_string(example + 1);
}

void AddMean(OrderedJson* json, const std::string& name, const Mean& mean) {
  (*json)[name] = mean.mean;
  (*json)[name + "_stderr"] = mean.standard_error;
}

}  // namespace stocha
