#include "stocha/experiment/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <system_error>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/experiment/child_process.h"
#include "stocha/experiment/experiment_folder.h"
#include "stocha/experiment/experiment_report.h"
#include "stocha/experiment/last_lines.h"
#include "stocha/experiment/provenance.h"
#include "stocha/experiment/text_shards.h"
#include "stocha/model/tensors.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr double kLookSeconds = 0.5;  // between two looks at a run

int64_t TokensOf(const Recipe& recipe) {
  return recipe.steps * recipe.batch_size * recipe.sequence_length;
}

double WorkOf(const RunGroup& group) {
  const int64_t parameters = std::max<int64_t>(1, CountParameters(group.model));
  return static_cast<double>(TokensOf(group.recipe)) * static_cast<double>(parameters);
}

class Runner {
 public:
  Runner(const Experiment& experiment, const RunnerOptions& options, ExperimentObserver* observer)
      : experiment_(experiment), options_(options), observer_(observer), folder_(options.output) {
    std::error_code error;
    if (fs::exists(folder_.results(), error)) {
      results_ = ParseResults(ReadFile(folder_.results()), folder_.results().string());
    }
    commit_ = CommitOf(options.trainer);
    results_.facts = {{"machine", MachineFacts()},
                      {"commit", commit_},
                      {"recipe", options.recipe_name},
                      {"recipe_sha256", options.recipe_sha256}};
    for (const RunGroup& group : experiment.groups) {
      all_tokens_ += TokensOf(group.recipe) * static_cast<int64_t>(group.num_runs());
      all_work_ += WorkOf(group) * static_cast<double>(group.num_runs());
    }
  }

  ExperimentOutcome Run() {
    if (!experiment_.text.empty()) {
      results_.facts["text"] =
          MakeShards(experiment_.text, folder_.text(), options_.stocha, options_.stop_requested);
    }
    for (const RunGroup& group : experiment_.groups) {
      RunAll(group, group.FirstRuns());
      const double rate = SumUp(group, results_.runs).learning_rate;
      if (!std::isfinite(rate)) {
        if (!stopped_) observer_->OnNote(group.name() + ": no run to choose a learning rate by");
        Skip(group);
        continue;
      }
      RunAll(group, group.OtherRuns(rate));
    }
    Save();
    return Outcome();
  }

 private:
  void RunAll(const RunGroup& group, const std::vector<ExperimentRun>& runs) {
    for (const ExperimentRun& run : runs) {
      stopped_ = stopped_ || (options_.stop_requested && options_.stop_requested());
      if (stopped_) return;
      const std::string name = group.NameOf(run);
      const Recipe recipe = group.RecipeOf(run);
      ++number_;
      if (IsDue(name)) Train(group, run, name, recipe);
      work_done_ += WorkOf(group);
    }
  }

  void Skip(const RunGroup& group) {
    number_ += group.seeds.size() - 1;
    work_done_ += WorkOf(group) * static_cast<double>(group.seeds.size() - 1);
  }

  bool IsDue(const std::string& name) {
    const RunResult* result = results_.Find(name);
    if (result == nullptr) return true;
    if (result->status == RunStatus::kFinished) return false;
    return result->status != RunStatus::kFailed || options_.retry_failed;
  }

  void Train(const RunGroup& group, const ExperimentRun& run, const std::string& name,
             const Recipe& recipe) {
    folder_.KeepRecipe(name, recipe);
    if (results_.Find(name) == nullptr) results_.runs.push_back({.run = name});
    RunResult& result = *results_.Find(name);
    result.setting = group.setting;
    result.arm = group.arm;
    result.seed = run.seed;
    result.learning_rate = run.learning_rate;
    result.status = RunStatus::kRunning;
    result.error.clear();
    result.commit = commit_;
    Finish(group, recipe, &result);
    const int exit_code = RunTrainer(group, name, recipe);
    const bool finished = exit_code == 0 && fs::exists(folder_.run(name) / "final/config.json");
    if (finished) {
      result.status = RunStatus::kFinished;
    } else if (stopped_) {
      result.status = RunStatus::kStopped;
    } else {
      result.status = RunStatus::kFailed;
      result.error = LastLine(folder_.log(name));
      if (result.error.empty()) result.error = fmt::format("exit status {}", exit_code);
      observer_->OnNote(name + " failed: " + result.error);
    }
    Finish(group, recipe, &result);
    if (!finished) return;
    // Weights stay in final/; optimizer states would fill the disk, run by run.
    std::error_code ignored;
    fs::remove_all(folder_.run(name) / "checkpoints", ignored);
    observer_->OnNote(fmt::format("{}: validation loss {:.4f} with {}, {:.1f} % silent", name,
                                  result.val_loss, result.activation, 100 * result.sparsity));
  }

  int RunTrainer(const RunGroup& group, const std::string& name, const Recipe& recipe) {
    std::vector<std::string> arguments = {options_.trainer.string(), folder_.recipe(name).string(),
                                          "--output", folder_.run(name).string()};
    std::error_code error;
    if (fs::exists(folder_.run(name), error)) arguments.emplace_back("--resume");
    const fs::path metrics = folder_.run(name) / "metrics.jsonl";
    const int64_t tokens_a_step = recipe.batch_size * recipe.sequence_length;
    std::optional<int64_t> first_step;
    ChildProcess child(arguments, folder_.log(name));
    for (;;) {
      const std::optional<int> exit_code = child.Wait(kLookSeconds);
      if (const std::optional<StepMetrics> step = LastStep(metrics)) {
        if (!first_step) first_step = step->step;
        Show(group, name, *step, (step->step - *first_step) * tokens_a_step);
        if (exit_code) tokens_ += (step->step - *first_step) * tokens_a_step;
      }
      if (exit_code) return *exit_code;
      if (stopped_ || !options_.stop_requested || !options_.stop_requested()) continue;
      stopped_ = true;
      child.AskToStop();
    }
  }

  void Show(const RunGroup& group, const std::string& name, const StepMetrics& step,
            int64_t tokens) const {
    const double share =
        static_cast<double>(step.step + 1) / static_cast<double>(group.recipe.steps);
    observer_->OnProgress(
        {.share = (work_done_ + share * WorkOf(group)) / all_work_,
         .tokens = tokens_ + tokens,
         .all_tokens = all_tokens_,
         .note = fmt::format("{}/{} {}, step {}/{}, {}", number_, experiment_.num_runs(), name,
                             step.step + 1, group.recipe.steps, ShownLoss(step))});
  }

  // Brings the result up to what the run's folder says, and saves all.
  void Finish(const RunGroup& group, const Recipe& recipe, RunResult* result) {
    std::error_code error;
    const fs::path run = folder_.run(result->run);
    AddMetrics(recipe, group.model,
               fs::exists(run / "metrics.jsonl", error) ? ReadRunMetrics(run) : RunMetrics{},
               result);
    Save();
  }

  void Save() const {
    const std::vector<GroupResult> groups = Groups();
    WriteFile(folder_.results(), ToJson(results_, groups));
    WriteFile(folder_.report(), RenderExperimentReport(results_, groups, folder_.path() / "runs"));
    MakeDirectories(folder_.plots());
    for (const PlotFile& plot : RenderExperimentPlots(results_, groups)) {
      WriteFile(folder_.plots() / plot.name, plot.svg);
    }
  }

  std::vector<GroupResult> Groups() const {
    std::vector<GroupResult> groups;
    groups.reserve(experiment_.groups.size());
    for (const RunGroup& group : experiment_.groups) groups.push_back(SumUp(group, results_.runs));
    return groups;
  }

  ExperimentOutcome Outcome() const {
    ExperimentOutcome outcome{
        .stopped = stopped_, .runs = experiment_.num_runs(), .groups = Groups()};
    for (const RunResult& run : results_.runs) {
      if (run.status == RunStatus::kFinished) ++outcome.finished;
      if (run.status == RunStatus::kFailed) ++outcome.failed;
    }
    return outcome;
  }

  const Experiment& experiment_;
  const RunnerOptions& options_;
  ExperimentObserver* observer_;
  ExperimentFolder folder_;
  ExperimentResults results_;
  std::string commit_;
  bool stopped_ = false;
  size_t number_ = 0;   // of the run at work, from 1
  int64_t tokens_ = 0;  // trained on by this process, up to the run at work
  int64_t all_tokens_ = 0;
  double work_done_ = 0;  // before the run at work
  double all_work_ = 0;
};

}  // namespace

ExperimentOutcome RunExperiment(const Experiment& experiment, const RunnerOptions& options,
                                ExperimentObserver* observer) {
  return Runner(experiment, options, observer).Run();
}

}  // namespace stocha
