#include "stocha/experiment/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/thread_pool.h"
#include "stocha/experiment/child_process.h"
#include "stocha/experiment/experiment_folder.h"
#include "stocha/experiment/experiment_report.h"
#include "stocha/experiment/last_lines.h"
#include "stocha/experiment/provenance.h"
#include "stocha/experiment/schedule.h"
#include "stocha/experiment/text_shards.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr double kLookSeconds = 0.5;  // between two looks at a run

// A run at work.
struct Job {
  Job(const NextRun& due, const std::vector<std::string>& arguments, const fs::path& log)
      : next(due),
        name(due.group->NameOf(due.run)),
        recipe(due.group->RecipeOf(due.run)),
        child(arguments, log) {}

  int64_t tokens() const {  // trained on since it was started
    return first_step ? (last.step - *first_step) * recipe.batch_size * recipe.sequence_length : 0;
  }
  double share() const {  // of all its steps, those before a resume included
    return first_step ? static_cast<double>(last.step + 1) / static_cast<double>(recipe.steps) : 0;
  }

  NextRun next;
  std::string name;
  Recipe recipe;
  ChildProcess child;
  std::optional<int64_t> first_step;  // seen; none before the first
  StepMetrics last;
};

class Runner {
 public:
  Runner(const Experiment& experiment, const RunnerOptions& options, ExperimentObserver* observer)
      : experiment_(experiment),
        options_(options),
        observer_(observer),
        folder_(options.output),
        schedule_(experiment, options.retry_failed) {
    std::error_code error;
    if (fs::exists(folder_.results(), error)) {
      results_ = ParseResults(ReadFile(folder_.results()), folder_.results().string());
    }
    commit_ = CommitOf(options.trainer);
    machine_ = MachineFacts();
    if (results_.runs.empty()) NoteWhere();
    results_.facts["recipe"] = options.recipe_name;
    results_.facts["recipe_sha256"] = options.recipe_sha256;
    for (const RunGroup& group : experiment.groups) {
      all_tokens_ += TokensOf(group.recipe) * static_cast<int64_t>(group.num_runs());
      all_work_ += WorkOf(group) * static_cast<double>(group.num_runs());
    }
    work_done_ = schedule_.WorkDone(results_.runs);
  }

  ExperimentOutcome Run() {
    if (!experiment_.text.empty()) {
      results_.facts["text"] =
          MakeShards(experiment_.text, folder_.text(), options_.stocha, options_.stop_requested);
    }
    for (;;) {
      stopped_ = stopped_ || (options_.stop_requested && options_.stop_requested());
      Start();
      if (jobs_.empty()) break;
      Look();
    }
    for (const RunGroup* group : schedule_.WithoutRate(results_.runs)) {
      observer_->OnNote(group->name() + ": no run to choose a learning rate by");
    }
    Save();
    return Outcome();
  }

 private:
  // A run is about to start here; one that only draws the report again was made elsewhere.
  void NoteWhere() {
    results_.facts["machine"] = machine_;
    results_.facts["commit"] = commit_;
  }

  // As many as may be at work.
  void Start() {
    while (!stopped_ && jobs_.size() < options_.jobs) {
      const std::optional<NextRun> next = schedule_.Take(results_.runs);
      if (!next) return;
      Start(*next);
    }
  }

  void Start(const NextRun& next) {
    const std::string name = next.group->NameOf(next.run);
    const Recipe recipe = next.group->RecipeOf(next.run);
    NoteWhere();
    folder_.KeepRecipe(name, recipe);
    if (results_.Find(name) == nullptr) results_.runs.push_back({.run = name});
    RunResult& result = *results_.Find(name);
    result.setting = next.group->setting;
    result.arm = next.group->arm;
    result.seed = next.run.seed;
    result.learning_rate = next.run.learning_rate;
    result.status = RunStatus::kRunning;
    result.error.clear();
    result.commit = commit_;
    result.machine = machine_["cpu"].get<std::string>();
    Update(*next.group, recipe, &result);
    jobs_.push_back(std::make_unique<Job>(next, TrainerArguments(name, recipe), folder_.log(name)));
  }

  std::vector<std::string> TrainerArguments(const std::string& name, const Recipe& recipe) const {
    std::vector<std::string> arguments = {options_.trainer.string(), folder_.recipe(name).string(),
                                          "--output", folder_.run(name).string()};
    if (options_.jobs > 1 && recipe.threads == 0) {
      const int64_t threads = AvailableProcessors() / static_cast<int64_t>(options_.jobs);
      arguments.insert(arguments.end(),
                       {"--threads", std::to_string(std::max<int64_t>(1, threads))});
    }
    std::error_code error;
    if (fs::exists(folder_.run(name), error)) arguments.emplace_back("--resume");
    return arguments;
  }

  // Waits a moment, and takes note of what the runs at work have done.
  void Look() {
    double wait = kLookSeconds;
    std::vector<std::unique_ptr<Job>> still;
    for (std::unique_ptr<Job>& job : jobs_) {
      const std::optional<int> exit_code = job->child.Wait(std::exchange(wait, 0));
      if (const auto step = LastStep(folder_.run(job->name) / "metrics.jsonl")) {
        // A resumed run may go back to its last checkpoint.
        job->first_step = std::min(job->first_step.value_or(step->step), step->step);
        job->last = *step;
      }
      if (exit_code) {
        tokens_ += job->tokens();
        End(*job, *exit_code);
      } else {
        still.push_back(std::move(job));
      }
    }
    jobs_ = std::move(still);
    Show();
    if (stopped_ || !options_.stop_requested || !options_.stop_requested()) return;
    stopped_ = true;
    for (const std::unique_ptr<Job>& job : jobs_) job->child.AskToStop();
  }

  void End(const Job& job, int exit_code) {
    RunResult& result = *results_.Find(job.name);
    const bool finished = exit_code == 0 && fs::exists(folder_.run(job.name) / "final/config.json");
    if (finished) {
      result.status = RunStatus::kFinished;
    } else if (stopped_) {
      result.status = RunStatus::kStopped;
    } else {
      result.status = RunStatus::kFailed;
      result.error = LastLine(folder_.log(job.name));
      if (result.error.empty()) result.error = fmt::format("exit status {}", exit_code);
      observer_->OnNote(job.name + " failed: " + result.error);
    }
    Update(*job.next.group, job.recipe, &result);
    work_done_ = schedule_.WorkDone(results_.runs);
    if (!finished) return;
    // Weights stay in final/; optimizer states would fill the disk, run by run.
    std::error_code ignored;
    fs::remove_all(folder_.run(job.name) / "checkpoints", ignored);
    observer_->OnNote(fmt::format("{}: validation loss {:.4f} with {}, {:.1f} % silent", job.name,
                                  result.val_loss, result.activation, 100 * result.sparsity));
  }

  void Show() const {
    double work = work_done_;
    int64_t tokens = tokens_;
    std::string note;
    for (const std::unique_ptr<Job>& job : jobs_) {
      work += job->share() * WorkOf(*job->next.group);
      tokens += job->tokens();
      if (!job->first_step) continue;
      const std::string step = fmt::format("step {}/{}, {}", job->last.step + 1, job->recipe.steps,
                                           ShownLoss(job->last));
      note += jobs_.size() == 1
                  ? fmt::format("{}/{} {}, {}", job->next.number, experiment_.num_runs(), job->name,
                                step)
                  : fmt::format("{}{}: {}", note.empty() ? "" : "; ", job->next.number, step);
    }
    if (note.empty()) return;
    observer_->OnProgress(
        {.share = work / all_work_, .tokens = tokens, .all_tokens = all_tokens_, .note = note});
  }

  // Brings the result up to what the run's folder says, and saves all.
  void Update(const RunGroup& group, const Recipe& recipe, RunResult* result) {
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

  // results.json may hold runs of an earlier recipe, which do not count.
  ExperimentOutcome Outcome() const {
    ExperimentOutcome outcome{
        .stopped = stopped_, .runs = experiment_.num_runs(), .groups = Groups()};
    for (const RunGroup& group : experiment_.groups) {
      for (const ExperimentRun& run : KnownRuns(group, results_.runs)) {
        const RunResult* result = FindRun(results_.runs, group.NameOf(run));
        if (result == nullptr) continue;
        if (result->status == RunStatus::kFinished) ++outcome.finished;
        if (result->status == RunStatus::kFailed) ++outcome.failed;
      }
    }
    return outcome;
  }

  const Experiment& experiment_;
  const RunnerOptions& options_;
  ExperimentObserver* observer_;
  ExperimentFolder folder_;
  ExperimentResults results_;
  Schedule schedule_;
  std::string commit_;
  nlohmann::ordered_json machine_;
  std::vector<std::unique_ptr<Job>> jobs_;
  bool stopped_ = false;
  int64_t tokens_ = 0;  // trained on by this process, in the runs that are over
  int64_t all_tokens_ = 0;
  double work_done_ = 0;  // in the runs that are over
  double all_work_ = 0;
};

}  // namespace

ExperimentOutcome RunExperiment(const Experiment& experiment, const RunnerOptions& options,
                                ExperimentObserver* observer) {
  return Runner(experiment, options, observer).Run();
}

}  // namespace stocha
