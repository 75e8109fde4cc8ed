// stocha experiment: arms of one base recipe, their runs and seeds; results.json, report.html.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/progress.h"
#include "stocha/base/sha256.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/command.h"
#include "stocha/cli/trainer_program.h"
#include "stocha/experiment/estimate.h"
#include "stocha/experiment/experiment.h"
#include "stocha/experiment/experiment_folder.h"
#include "stocha/experiment/provenance.h"
#include "stocha/experiment/runner.h"
#include "stocha/experiment/text_shards.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 20;

struct ExperimentFlags {
  std::string recipe;
  std::string output;  // empty: runs/ and the recipe's name
  std::vector<std::string> overrides;
  ExperimentText text;
  bool retry_failed = false;
  int64_t jobs = 1;
  bool dry_run = false;
  int64_t probe_steps = 10;  // of a dry run
  bool json = false;
};

// Progress and notes on stderr.
class Console : public ExperimentObserver {
 public:
  void OnProgress(const ExperimentProgress& progress) override {
    const auto all = static_cast<double>(progress.all_tokens);
    const auto done = static_cast<uint64_t>(progress.share * all);
    if (!progress_) {
      progress_.emplace(Progress::Options{.label = "experiment",
                                          .unit = "tok",
                                          .total = static_cast<uint64_t>(progress.all_tokens),
                                          .start = done});
    }
    progress_->Update(done, static_cast<double>(progress.tokens), progress.note);
  }

  void OnNote(const std::string& note) override {
    if (progress_) {
      progress_->Print(note);
    } else {
      std::fprintf(stderr, "%s\n", note.c_str());
    }
  }

  void Finish() { progress_.reset(); }

 private:
  std::optional<Progress> progress_;
};

ExperimentText Absolute(ExperimentText text) {
  const auto absolute = [](std::string& path) {
    if (!path.empty()) path = fs::absolute(path).lexically_normal().string();
  };
  absolute(text.tokenizer);
  for (std::string& path : text.train) absolute(path);
  for (std::string& path : text.validation) absolute(path);
  return text;
}

void PrintGroups(const ExperimentOutcome& outcome, const std::string& output) {
  for (const GroupResult& group : outcome.groups) {
    if (group.losses.empty()) continue;
    fmt::print("{}{}{}: validation loss {:.4f}", group.setting, group.setting.empty() ? "" : " ",
               group.arm, group.mean_loss);
    if (group.losses.size() > 1) {
      fmt::print(" +- {:.4f} over {} seeds", group.spread, group.losses.size());
    }
    fmt::print(", {:.1f} % silent, learning rate {}\n", 100 * group.sparsity, group.learning_rate);
  }
  fmt::print("{} of {} runs finished, {} failed; see {}/report.html and results.json\n",
             outcome.finished, outcome.runs, outcome.failed, output);
}

void ExperimentCommand(const ExperimentFlags& flags) {
  const fs::path output = flags.output.empty() ? fs::path("runs") / fs::path(flags.recipe).stem()
                                               : fs::path(flags.output);
  const std::string text = ReadFile(flags.recipe, kMaxFileBytes);
  Experiment experiment = ParseExperiment(text, flags.recipe,
                                          {.base = fs::path(flags.recipe).parent_path(),
                                           .shards = fs::absolute(ExperimentFolder::Text(output)),
                                           .overrides = flags.overrides,
                                           .text = Absolute(flags.text)});
  CompleteModels(&experiment);
  LetThreadsSleep();
  if (flags.dry_run) {
    const auto estimates = Estimate(experiment, TrainerProgram(), flags.probe_steps);
    std::printf("%s\n", (flags.json ? ToJson(estimates) : ToText(estimates)).c_str());
    return;
  }
  const StopSignal stop(
      "\nstopping after this step (or layer of a fit); once more kills at once\n");
  Console console;
  const ExperimentOutcome outcome =
      RunExperiment(experiment,
                    {.output = output,
                     .stocha = ThisProgram(),
                     .trainer = TrainerProgram(),
                     .recipe_name = fs::path(flags.recipe).filename().string(),
                     .recipe_sha256 = Sha256Hex(text),
                     .retry_failed = flags.retry_failed,
                     .jobs = static_cast<size_t>(flags.jobs),
                     .stop_requested = [&stop] { return stop.requested(); }},
                    &console);
  console.Finish();
  if (outcome.stopped && outcome.finished < outcome.runs) {
    throw Error({.where = output.string(),
                 .what = fmt::format("stopped with {} of {} runs finished, all saved",
                                     outcome.finished, outcome.runs),
                 .hint = "continue with the same command"});
  }
  if (flags.json) {
    fmt::print("{}", ReadFile(output / "results.json"));
  } else {
    PrintGroups(outcome, output.string());
  }
}

}  // namespace

void AddExperimentCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ExperimentFlags>();
  CLI::App* sub = app.add_subcommand("experiment", "Compare arms of one recipe, with seeds");
  sub->add_option("RECIPE", flags->recipe, "The experiment: a TOML file (docs/experiments.md)")
      ->required();
  sub->add_option("--output", flags->output, "Its folder (default: runs/RECIPE's name)")
      ->type_name("FOLDER");
  sub->add_option("--text", flags->text.train, "Text to train on, as tokenize reads it")
      ->type_name("FILE");
  sub->add_option("--validation", flags->text.validation, "Text to validate on")->type_name("FILE");
  sub->add_option("--tokenizer", flags->text.tokenizer, "The tokenizer.json for both")
      ->type_name("FILE");
  sub->add_option("--set", flags->overrides, "Override one key, e.g. --set base.training.steps=20")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  sub->add_flag("--retry-failed", flags->retry_failed, "Run again what failed");
  sub->add_option("--jobs", flags->jobs, "Runs at a time; they share the processors")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  CLI::Option* dry_run = sub->add_flag("--dry-run", flags->dry_run,
                                       "Print arms, parameters, tokens and hours, and leave");
  sub->add_option("--probe-steps", flags->probe_steps,
                  "Steps that a dry run makes at each setting; 0: arithmetic alone")
      ->capture_default_str()
      ->needs(dry_run)
      ->check(CLI::Range(0, 1000));
  sub->add_flag("--json", flags->json, "Print results.json");
  sub->footer(
      "Example:\n  stocha experiment recipes/paper-mini.toml --output runs/mini\n"
      "Ctrl-C saves the run at work; the same command goes on with it. A finished run is not run "
      "again.");
  sub->callback([flags, &run] { run = [flags] { ExperimentCommand(*flags); }; });
}

}  // namespace stocha
