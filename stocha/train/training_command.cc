// stocha-train RECIPE.toml: the one place of training that prints.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/train/commands.h"
#include "stocha/train/dry_run.h"
#include "stocha/train/trainer.h"
#include "stocha/train/training_summary.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

struct TrainingFlags {
  std::string recipe;
  std::vector<std::string> overrides;
  std::string output;
  int64_t threads = 0;  // 0: the recipe's
  bool resume = false;
  bool dry_run = false;
  int64_t probe_steps = 3;  // of a dry run
  bool json = false;
};

// Progress and notes on stderr.
class Console : public TrainingObserver {
 public:
  void OnStart(const TrainingStart& start) override {
    tokens_before_ = start.step * start.tokens_per_step;
    progress_.emplace(Progress::Options{.label = "train",
                                        .unit = "tok",
                                        .total = static_cast<uint64_t>(start.steps),
                                        .start = static_cast<uint64_t>(start.step)});
    Print(
        fmt::format("{} parameters, {} tokens a step, {} thread{}{}",
                    FormatCount(static_cast<double>(start.parameters)),
                    FormatCount(static_cast<double>(start.tokens_per_step)), start.threads,
                    start.threads == 1 ? "" : "s",
                    start.step == 0 ? "" : fmt::format(", continuing after step {}", start.step)));
  }

  void OnFittedLayer(int layers, int of) override {
    if (!fit_) {  // its clock starts behind the first layer
      fit_.emplace(Progress::Options{
          .label = "fit of layers", .total = static_cast<uint64_t>(of), .start = 1});
    }
    fit_->Update(static_cast<uint64_t>(layers), layers, "");
    if (layers == of) fit_.reset();
  }

  void OnStep(const StepMetrics& metrics) override {
    progress_->Update(static_cast<uint64_t>(metrics.step) + 1,
                      static_cast<double>(metrics.tokens - tokens_before_),
                      fmt::format("{}  {}", ShownLoss(metrics), metrics.activation));
  }

  void OnValidation(const ValidationMetrics& metrics) override {
    const std::string when =
        metrics.step == 0 ? "before training" : fmt::format("after step {}", metrics.step);
    Print(
        fmt::format("{}: validation loss {:.4f} with {}", when, metrics.loss, metrics.activation));
    if (metrics.step == 0) progress_->SkipTime();
  }

  void OnCheckpoint(const fs::path& directory) override { Print("saved " + directory.string()); }
  // Of what was done once, such as the fit.
  void OnNote(const std::string& note) override {
    Print("note: " + note);
    if (progress_) progress_->SkipTime();
  }

  void Finish() {
    fit_.reset();
    progress_.reset();
  }

 private:
  void Print(const std::string& line) {
    if (progress_) {
      progress_->Print(line);
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
  }

  std::optional<Progress> progress_;
  std::optional<Progress> fit_;
  int64_t tokens_before_ = 0;
};

void DryRunCommand(const Recipe& recipe, const TrainingFlags& flags) {
  const DryRun run = DryRunOf(recipe, flags.probe_steps);
  if (!run.note.empty()) std::fprintf(stderr, "note: %s\n", run.note.c_str());
  if (!run.fits) std::fprintf(stderr, "warning: the run does not fit the memory there is\n");
  std::printf("%s\n", (flags.json ? ToJson(run) : ToText(run)).c_str());
}

void TrainCommand(const TrainingFlags& flags) {
  if (flags.recipe.empty()) {
    throw UsageError(
        {.where = "RECIPE", .what = "missing", .expected = "a recipe, e.g. recipes/demo.toml"});
  }
  Recipe recipe = ReadRecipe(flags.recipe, flags.overrides);
  if (flags.threads > 0) recipe.threads = flags.threads;
  if (flags.dry_run) return DryRunCommand(recipe, flags);
  TrainOptions options;
  options.run = flags.output.empty() ? fs::path("runs") / fs::path(flags.recipe).stem()
                                     : fs::path(flags.output);
  options.resume = flags.resume;
  const StopSignal stop(
      "\nstopping after this step (or layer of a fit); once more kills at once\n");
  options.stop_requested = [&stop] { return stop.requested(); };

  Console console;
  const TrainingResult result = Train(recipe, options, &console);
  console.Finish();
  const std::string run = options.run.string();
  if (!result.finished) {
    throw Error(
        {.where = run,
         .what = fmt::format("stopped after {} of {} steps, all saved", result.steps, recipe.steps),
         .hint = fmt::format("continue with: stocha train {} --output {} --resume",
                             (options.run / "recipe.toml").string(), run)});
  }
  const TrainingSummary summary =
      Summarize(recipe, ReadRunMetrics(options.run), options.run / "final");
  std::printf("%s\n", (flags.json ? ToJson(summary) : ToText(summary)).c_str());
}

}  // namespace

void AddTraining(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<TrainingFlags>();
  app.add_option("RECIPE", flags->recipe, "What to train: a TOML file (docs/recipe-keys.md)");
  app.add_option("--set", flags->overrides, "Override one key, e.g. --set training.steps=200")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--output", flags->output, "Folder of the run (default: runs/RECIPE's name)")
      ->type_name("FOLDER");
  app.add_flag("--resume", flags->resume, "Continue the run in the output folder");
  app.add_option("--threads", flags->threads, "Instead of the recipe's")
      ->check(CLI::Range(1, 4096));
  CLI::Option* dry_run = app.add_flag("--dry-run", flags->dry_run,
                                      "Print what the run takes in memory and time, and leave");
  app.add_option("--probe-steps", flags->probe_steps,
                 "Steps that a dry run makes; 0: arithmetic alone")
      ->capture_default_str()
      ->needs(dry_run)
      ->check(CLI::Range(0, 1000));
  app.add_flag("--json", flags->json, "Print the final figures as one JSON object");
  app.footer(
      "Example:\n"
      "  stocha train recipes/demo.toml --set training.steps=200 --output runs/first\n"
      "Ctrl-C saves a checkpoint and leaves; --resume continues with the same bits.");
  app.callback([&app, &run, flags] {
    if (app.get_subcommands().empty()) run = [flags] { TrainCommand(*flags); };
  });
}

}  // namespace stocha
