// stocha-train RECIPE.toml: the one place of training that prints.
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/progress.h"
#include "stocha/recipe/schedule.h"
#include "stocha/report/run_summary.h"
#include "stocha/train/commands.h"
#include "stocha/train/stop_signal.h"
#include "stocha/train/trainer.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

struct TrainingFlags {
  std::string recipe;
  std::vector<std::string> overrides;
  std::string output;
  int64_t threads = 0;  // 0: the recipe's
  bool resume = false;
  bool json = false;
};

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

// Progress and notes on stderr.
class Console : public TrainingObserver {
 public:
  void OnStart(const TrainingStart& start) override {
    tokens_before_ = start.step * start.tokens_per_step;
    progress_.emplace(Progress::Options{.label = "train",
                                        .unit = "tok",
                                        .total = static_cast<uint64_t>(start.steps),
                                        .start = static_cast<uint64_t>(start.step)});
    std::string line = FormatCount(static_cast<double>(start.parameters)) + " parameters, " +
                       FormatCount(static_cast<double>(start.tokens_per_step)) +
                       " tokens a step, " + std::to_string(start.threads) +
                       (start.threads == 1 ? " thread" : " threads");
    if (start.step > 0) line += ", continuing after step " + std::to_string(start.step);
    Print(line);
  }

  void OnStep(const StepMetrics& metrics) override {
    if (metrics.activation != activation_ && !activation_.empty() && metrics.p == 0) {
      Print("step " + std::to_string(metrics.step) + ": " + activation_ + " -> " +
            metrics.activation);
    }
    activation_ = metrics.activation;
    progress_->Update(static_cast<uint64_t>(metrics.step) + 1,
                      static_cast<double>(metrics.tokens - tokens_before_),
                      "loss " + Fixed(metrics.loss, 4) + "  " + metrics.activation);
  }

  void OnValidation(const ValidationMetrics& metrics) override {
    Print("after step " + std::to_string(metrics.step) + ": validation loss " +
          Fixed(metrics.loss, 4) + " with " + metrics.activation);
  }

  void OnCheckpoint(const fs::path& directory) override { Print("saved " + directory.string()); }
  void OnNote(const std::string& note) override { Print("note: " + note); }

  void Finish() { progress_.reset(); }

 private:
  void Print(const std::string& line) {
    if (progress_) {
      progress_->Print(line);
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
  }

  std::optional<Progress> progress_;
  std::string activation_;
  int64_t tokens_before_ = 0;
};

std::string Losses(const std::vector<ValidationMetrics>& validations) {
  std::string text;
  for (const ValidationMetrics& validation : validations) {
    if (!text.empty()) text += ", ";
    text += Fixed(validation.loss, 4) + " with " + validation.activation;
  }
  return text;
}

std::string SummaryText(const RunSummary& summary, const fs::path& run) {
  std::string text = "Trained " + std::to_string(summary.steps) + " steps on " +
                     FormatCount(static_cast<double>(summary.tokens)) + " tokens at " +
                     FormatCount(summary.tokens_per_s) + " tok/s; training loss " +
                     Fixed(summary.final_train_loss, 4) + ".";
  if (!summary.before_switch.empty()) {
    text += " Validation loss before the switch at step " + std::to_string(summary.switch_step) +
            ": " + Losses(summary.before_switch) + ".";
  }
  if (!summary.at_end.empty()) {
    text += " Validation loss at the end: " + Losses(summary.at_end) + ".";
  }
  if (!summary.sparsity.empty()) {
    text += " Silent hidden units: " + Fixed(100 * summary.mean_sparsity, 1) + " %.";
  }
  return text + " The model is in " + (run / "final").string() + ".";
}

nlohmann::json LossesJson(const std::vector<ValidationMetrics>& validations) {
  nlohmann::json list = nlohmann::json::array();
  for (const ValidationMetrics& validation : validations) {
    list.push_back({{"step", validation.step},
                    {"activation", validation.activation},
                    {"loss", validation.loss}});
  }
  return list;
}

std::string SummaryJson(const RunSummary& summary, const fs::path& run) {
  return nlohmann::json{{"run", run.string()},
                        {"model", (run / "final").string()},
                        {"steps", summary.steps},
                        {"tokens", summary.tokens},
                        {"tokens_per_s", summary.tokens_per_s},
                        {"train_loss", summary.final_train_loss},
                        {"switch_step", summary.switch_step},
                        {"before_switch", LossesJson(summary.before_switch)},
                        {"at_end", LossesJson(summary.at_end)},
                        {"sparsity", summary.mean_sparsity},
                        {"sparsity_per_layer", summary.sparsity}}
      .dump();
}

void TrainCommand(const TrainingFlags& flags) {
  if (flags.recipe.empty()) {
    throw UsageError(
        {.where = "RECIPE", .what = "missing", .expected = "a recipe, e.g. recipes/demo.toml"});
  }
  Recipe recipe = ReadRecipe(flags.recipe, flags.overrides);
  if (flags.threads > 0) recipe.threads = flags.threads;
  TrainOptions options;
  options.run = flags.output.empty() ? fs::path("runs") / fs::path(flags.recipe).stem()
                                     : fs::path(flags.output);
  options.resume = flags.resume;
  const StopSignal stop("\nstopping after this step; once more kills at once\n");
  options.stop_requested = [&stop] { return stop.requested(); };

  Console console;
  const TrainingResult result = Train(recipe, options, &console);
  console.Finish();
  const std::string run = options.run.string();
  if (!result.finished) {
    throw Error({.where = run,
                 .what = "stopped after " + std::to_string(result.steps) + " of " +
                         std::to_string(recipe.steps) + " steps, all saved",
                 .hint = "continue with: stocha train " + (options.run / "recipe.toml").string() +
                         " --output " + run + " --resume"});
  }
  const RunSummary summary = Summarize(ReadRunMetrics(options.run));
  std::printf(
      "%s\n",
      (flags.json ? SummaryJson(summary, options.run) : SummaryText(summary, options.run)).c_str());
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
