#include "stocha/experiment/estimate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/base/progress.h"
#include "stocha/experiment/child_process.h"
#include "stocha/experiment/last_lines.h"
#include "stocha/model/tensors.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr double kSecondsAnHour = 3600;
constexpr double kLongestWait = 1e6;  // seconds

// A folder of this process in the system's place for such, removed with all that is in it.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(fs::temp_directory_path() / fmt::format("stocha-experiment-{}", getpid())) {
    MakeDirectories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Whether a step of one takes as long as a step of the other; of the same setting.
bool SameWork(const Recipe& a, const Recipe& b) {
  return a.layerwise_until == b.layerwise_until && (a.kl_weight > 0) == (b.kl_weight > 0) &&
         a.train_only == b.train_only;
}

double Probe(const RunGroup& group, const fs::path& trainer, int64_t steps) {
  const ScratchFolder folder;
  const fs::path recipe = folder.path() / "recipe.toml";
  const fs::path log = folder.path() / "log";
  WriteFile(recipe, RecipeToToml(group.recipe));
  ChildProcess child({trainer.string(), recipe.string(), "--dry-run", "--json", "--probe-steps",
                      std::to_string(steps)},
                     log);
  const std::optional<int> exit_code = child.Wait(kLongestWait);
  const std::string line = LastLine(log);
  if (exit_code != 0) throw Error({.where = group.name(), .what = line});
  const Json json = ParseJson(line, trainer.string());
  return JsonObject(json, trainer.string()).NumberOr("tokens_per_s", 0);
}

}  // namespace

double GroupEstimate::tokens_a_parameter() const {
  return static_cast<double>(tokens) / static_cast<double>(std::max<int64_t>(1, parameters));
}

std::vector<GroupEstimate> Estimate(const Experiment& experiment, const fs::path& trainer,
                                    int64_t probe_steps) {
  std::vector<GroupEstimate> estimates;
  for (size_t i = 0; i < experiment.groups.size(); ++i) {
    const RunGroup& group = experiment.groups[i];
    const Recipe& recipe = group.recipe;
    GroupEstimate estimate{.setting = group.setting,
                           .arm = group.arm,
                           .runs = group.num_runs(),
                           .parameters = CountParameters(group.model),
                           .tokens = recipe.steps * recipe.batch_size * recipe.sequence_length};
    const auto before = std::span(experiment.groups).first(i);
    const auto same = std::ranges::find_if(before, [&group](const RunGroup& other) {
      return other.setting == group.setting && SameWork(other.recipe, group.recipe);
    });
    estimate.tokens_per_s = same != before.end() ? estimates[same - before.begin()].tokens_per_s
                            : probe_steps > 0    ? Probe(group, trainer, probe_steps)
                                                 : 0;
    if (estimate.tokens_per_s > 0) {
      estimate.hours = static_cast<double>(estimate.runs) * static_cast<double>(estimate.tokens) /
                       estimate.tokens_per_s / kSecondsAnHour;
    }
    estimates.push_back(estimate);
  }
  return estimates;
}

std::string ToText(const std::vector<GroupEstimate>& estimates) {
  std::string text =
      fmt::format("{:<16} {:<20} {:>4} {:>10} {:>8} {:>12} {:>8} {:>7}\n", "setting", "arm", "runs",
                  "parameters", "tokens", "a parameter", "tok/s", "hours");
  double hours = 0;
  size_t runs = 0;
  for (const GroupEstimate& estimate : estimates) {
    text += fmt::format("{:<16} {:<20} {:>4} {:>10} {:>8} {:>12.1f} {:>8.0f} {:>7.2f}\n",
                        estimate.setting, estimate.arm, estimate.runs,
                        FormatCount(static_cast<double>(estimate.parameters)),
                        FormatCount(static_cast<double>(estimate.tokens)),
                        estimate.tokens_a_parameter(), estimate.tokens_per_s, estimate.hours);
    hours += estimate.hours;
    runs += estimate.runs;
  }
  return text + fmt::format("{} runs, {:.2f} hours without validation", runs, hours);
}

std::string ToJson(const std::vector<GroupEstimate>& estimates) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  double hours = 0;
  for (const GroupEstimate& estimate : estimates) {
    list.push_back({{"setting", estimate.setting},
                    {"name", estimate.arm},
                    {"runs", estimate.runs},
                    {"params", estimate.parameters},
                    {"tokens", estimate.tokens},
                    {"tokens_per_s", estimate.tokens_per_s},
                    {"hours", estimate.hours}});
    hours += estimate.hours;
  }
  return nlohmann::ordered_json{{"groups", list}, {"hours", hours}}.dump();
}

}  // namespace stocha
