// What an experiment's runs came to: results.json, one object for every run that was started.
//
// {"machine":{"cpu","cores"},"commit","recipe","recipe_sha256","text":{..},
//  "groups":[{"setting","name","learning_rate","learning_rates":[..],"scan_losses":[..],"seeds",
//             "val_loss","val_loss_spread","sparsity"}],
//  "arms":[{"run","setting","name","seed","learning_rate","status","commit","machine","params",
//           "tokens","val_loss",..}]}
// A number that is not known is null. The machine and commit of the whole are those of the run that
// was started last.
#ifndef STOCHA_EXPERIMENT_RESULTS_H_
#define STOCHA_EXPERIMENT_RESULTS_H_

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/experiment/experiment.h"
#include "stocha/report/metrics.h"

namespace stocha {

inline constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

enum class RunStatus : uint8_t {
  kRunning,  // or killed with the whole experiment
  kStopped,  // by Ctrl-C; will be resumed
  kFailed,   // the trainer gave up; not tried again unless asked for
  kFinished,
};

// Neither at work nor to be gone on with.
constexpr bool IsOver(RunStatus status) {
  return status == RunStatus::kFinished || status == RunStatus::kFailed;
}

// A validation in the course of a run.
struct ValidationPoint {
  int64_t tokens = 0;  // trained on before it
  double loss = kNotKnown;
  std::string activation;
  bool as_trained = false;      // with an activation of the steps just before or after it
  double sparsity = kNotKnown;  // mean of the layers
};

struct RunResult {
  std::string run;  // the folder's name, which no other run has
  std::string setting;
  std::string arm;
  uint64_t seed = 0;
  double learning_rate = 0;
  RunStatus status = RunStatus::kRunning;
  std::string error;    // the trainer's last word, when it failed
  std::string commit;   // of the program; empty when not known
  std::string machine;  // its processor; empty in files of a version that did not keep it
  int64_t params = 0;
  int64_t body_params = 0;      // without embedding and head
  int64_t tokens = 0;           // trained on
  double val_loss = kNotKnown;  // at the end, with the activation of inference; nats a token
  std::string activation;       // that one
  double val_loss_before_switch = kNotKnown;  // with the activation trained with so far
  double val_loss_at_switch = kNotKnown;      // the same weights with that of inference
  double train_loss = kNotKnown;              // mean of the last 1 % of steps
  double sparsity = kNotKnown;                // mean of the layers, in that last validation
  std::vector<double> sparsity_by_layer;
  std::vector<ValidationPoint> validations;  // in the order they were made
  double seconds = 0;                        // of training steps; validation and checkpoints aside
  double tokens_per_s = kNotKnown;           // median
};

// The run of that name; null without one.
const RunResult* FindRun(const std::vector<RunResult>& runs, std::string_view run);

// Fills in what the run's metrics say. recipe: the run's; model: what it trains.
void AddMetrics(const Recipe& recipe, const ModelConfig& model, const RunMetrics& metrics,
                RunResult* result);

// The runs of one arm at one setting, together.
struct GroupResult {
  std::string setting;
  std::string arm;
  double learning_rate = kNotKnown;  // the one chosen; not known while a scan goes on
  std::vector<double> learning_rates;
  std::vector<double> scan_losses;  // one a rate, of the first seed
  std::vector<std::string> runs;    // finished ones with that rate, one a seed
  std::vector<double> losses;       // theirs
  double mean_loss = kNotKnown;
  double spread = kNotKnown;  // their sample standard deviation; not known of one
  double sparsity = kNotKnown;
};

// `runs` may hold those of other groups.
GroupResult SumUp(const RunGroup& group, const std::vector<RunResult>& runs);

struct ExperimentResults {
  nlohmann::ordered_json facts;  // machine, commit, recipe, recipe_sha256, text
  std::vector<RunResult> runs;   // in the order they were started

  RunResult* Find(std::string_view run);
};

std::string ToJson(const ExperimentResults& results, const std::vector<GroupResult>& groups);
// Reads facts and runs back; groups are made from them anew. Throws Error on anything else.
ExperimentResults ParseResults(std::string_view json, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_RESULTS_H_
