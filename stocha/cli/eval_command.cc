// stocha eval: how well a model predicts texts, last words and answers.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/eval_print.h"
#include "stocha/cli/eval_tasks.h"
#include "stocha/cli/model_source.h"
#include "stocha/eval/fingerprint.h"
#include "stocha/eval/record_log.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Larger numbers would not survive CLI11's conversion, which does not tell.
constexpr int64_t kMaxCount = int64_t{1} << 40;

// What results depend on: the first line of a resume file. Dense and exact give the same bits.
OrderedJson ResumeHeader(const EvalFlags& flags, const Activation& activation) {
  OrderedJson tasks = OrderedJson::array();
  for (const EvalTask& task : flags.tasks) tasks.push_back(DescribeTask(flags, task));
  return {{"stocha_eval", 1},
          {"model", ModelFingerprint(flags.engine.model)},
          {"activation", ToString(activation)},
          {"screened", flags.engine.ffn == "screened"},
          {"input_bits", flags.engine.input_bits},
          {"prefill", flags.engine.prefill},
          {"seed", flags.engine.seed},
          {"tasks", std::move(tasks)}};
}

std::unique_ptr<RecordLog> OpenLog(const EvalFlags& flags, const Activation& activation) {
  if (flags.resume.empty()) return std::make_unique<RecordLog>();
  return std::make_unique<RecordLog>(flags.resume, ResumeHeader(flags, activation));
}

// Several samples that must all be the same are a mistake.
void CheckSamples(const EvalFlags& flags, const Activation& activation) {
  const bool asked =
      std::ranges::find(flags.tasks, EvalKind::kQa, &EvalTask::kind) != flags.tasks.end();
  const bool drawn =
      flags.sampler.temperature > 0 || activation.kind == ActivationKind::kStochastic;
  if (!asked || drawn || SamplesDrawn(flags) == 1) return;
  throw UsageError({.where = "--samples",
                    .what = "all samples of a question would be the same",
                    .expected = "--temperature above 0, or an activation that draws"});
}

void Eval(const EvalFlags& flags) {
  if (flags.tasks.empty()) {
    throw UsageError({.where = "eval",
                      .what = "a file to measure on is required",
                      .expected = "--perplexity, --choice, --lambada or --qa, with a file"});
  }
  ValidateSamplerOptions(flags.sampler);
  LoadedEngine engine(flags.engine);
  CheckSamples(flags, engine.activation);
  const Tokenizer tokenizer = LoadTokenizer(flags.engine.model);
  const std::unique_ptr<RecordLog> log = OpenLog(flags, engine.activation);
  const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
  EvalRun run = {flags, engine, tokenizer, *log, stop};

  OrderedJson results = OrderedJson::array();
  for (size_t task = 0; task < flags.tasks.size(); ++task) {
    results.push_back(RunTask(run, static_cast<int64_t>(task)));
    if (!flags.json) PrintEvalResult(results.back());
  }
  if (flags.json) {
    const OrderedJson json = {{"model", flags.engine.model},
                              {"activation", ToString(engine.activation)},
                              {"ffn", flags.engine.ffn},
                              {"prefill", flags.engine.prefill},
                              {"threads", engine.pool.num_threads()},
                              {"seed", flags.engine.seed},
                              {"results", std::move(results)}};
    fmt::print("{}\n", json.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
  } else {
    fmt::print("activation    {}\n", ToString(engine.activation));
  }
}

}  // namespace

void AddEvalCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* sub =
      app.add_subcommand("eval", "Measure how well a model predicts texts, words and answers");
  AddEngineFlags(sub, &flags->engine);
  const auto add_task = [&](const char* flag, EvalKind kind, const char* help) {
    sub->add_option_function<std::string>(
           flag, [flags, kind](const std::string& file) { flags->tasks.push_back({kind, file}); },
           help)
        ->type_name("FILE")
        ->trigger_on_parse();
  };
  const auto add_count = [&](const char* flag, int64_t* value, const std::string& help) {
    sub->add_option(flag, *value, help)
        ->capture_default_str()
        ->check(CLI::Range(int64_t{0}, kMaxCount));
  };
  add_task("--perplexity", EvalKind::kPerplexity, "text file to predict");
  add_task("--choice", EvalKind::kChoice,
           "JSON lines of query, choices, gold: is the right choice the likeliest?");
  add_task("--lambada", EvalKind::kLambada,
           "JSON lines of context, continuation: is the last word the likeliest?");
  add_task("--qa", EvalKind::kQa,
           "JSON lines of context, answer, aliases: is any of N sampled answers right?");
  add_count(
      "--context", &flags->context,
      fmt::format("perplexity: tokens a window; 0: {}, or the model's limit", kDefaultContext));
  add_count("--stride", &flags->stride, "perplexity: tokens between windows; 0: half a window");
  add_count("--limit-tokens", &flags->limit_tokens, "perplexity: the first tokens only; 0: all");
  add_count("--limit", &flags->limit, "the first examples of each other file only; 0: all");
  sub->add_option(
      "--delimiter", flags->delimiter,
      "choice: what stands between query and choice; default: a line break, \"Answer: \"");
  sub->add_option("--samples", flags->samples,
                  "qa: N of the best of N, one or several (1,2,4,8); the largest is drawn")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  sub->add_option("--temperature", flags->sampler.temperature, "qa: 0: always the likeliest token")
      ->capture_default_str();
  sub->add_flag("--draw-prompt", flags->draw_prompt,
                "qa: an activation that draws does so on the prompt too");
  sub->add_option("--shots", flags->shots,
                  "qa: so many first examples are shown with their answers, and not asked")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  sub->add_option("--max-tokens", flags->max_tokens, "qa: at most so many tokens an answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  sub->add_option("--resume", flags->resume,
                  "file for finished results: a run that was cut goes on from it");
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer(
      "Each kind may be given several times, with the others. Formats: docs/evaluation.md\n"
      "Example:\n  stocha eval models/demo --perplexity text.txt --context 512\n"
      "  stocha eval models/demo --choice arc_easy.jsonl --lambada lambada.jsonl --json\n"
      "  stocha eval models/demo --qa trivia.jsonl --samples 1,2,4,8 --temperature 0.8 "
      "--resume trivia.results.jsonl");
  sub->callback([flags, &run] { run = [flags] { Eval(*flags); }; });
}

}  // namespace stocha
