// What a finished run says at its end, out of its recipe and its metrics.jsonl.
#ifndef STOCHA_TRAIN_TRAINING_SUMMARY_H_
#define STOCHA_TRAIN_TRAINING_SUMMARY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "stocha/recipe/recipe.h"
#include "stocha/report/metrics.h"

namespace stocha {

struct TrainingSummary {
  std::filesystem::path model;  // the exported
  int64_t steps = 0;
  int64_t tokens = 0;
  double tokens_per_s = 0;  // median of the steps
  double train_loss = 0;    // mean of the last 1 % of steps
  // Validation losses, one an activation; all empty without validation data.
  std::vector<ValidationMetrics> at_start;   // of a model that was trained before
  int64_t switch_step = 0;                   // the last switch of activation; 0: there was none
  std::vector<ValidationMetrics> at_switch;  // before that step
  std::vector<ValidationMetrics> at_end;
  std::vector<double>
      sparsity;  // of the exported model where it was validated, else of the last step
};

// `metrics` is the whole run's. Throws Error when it has no step, e.g. because the file was
// emptied.
TrainingSummary Summarize(const Recipe& recipe, const RunMetrics& metrics,
                          const std::filesystem::path& model);

// One paragraph.
std::string ToText(const TrainingSummary& summary);
// One JSON object in one line.
std::string ToJson(const TrainingSummary& summary);

}  // namespace stocha

#endif  // STOCHA_TRAIN_TRAINING_SUMMARY_H_
