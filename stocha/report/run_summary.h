// What a run comes to: its switches of activation and its final figures.
#ifndef STOCHA_REPORT_RUN_SUMMARY_H_
#define STOCHA_REPORT_RUN_SUMMARY_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/report/metrics.h"

namespace stocha {

struct ActivationSwitch {
  int64_t step = 0;  // the first that trained with `to`
  std::string from;
  std::string to;
};

// Every change of activation; when p is annealed, so that there are many, only changes of kind
// ("stocha:0.01" to "relu").
std::vector<ActivationSwitch> FindSwitches(const RunMetrics& run);

// Their steps.
std::vector<double> SwitchSteps(const RunMetrics& run);

// Over the finite ones; NaN when there is none.
double MeanOfFinite(std::span<const double> values);

// "relu" and "relu2": exactly 0 for every negative input.
bool IsRelu(std::string_view activation);

// True when the validation used ReLU on weights that had been trained with another activation so
// far: a glance at what a switch would give. `run.steps` is not empty.
bool IsReluTrial(const RunMetrics& run, const ValidationMetrics& validation);

// NaN where there was none.
struct ValidationLosses {
  double as_trained = 0;
  double relu_trial = 0;
};

struct RunSummary {
  int64_t steps = 0;
  int64_t tokens = 0;
  double final_train_loss = 0;  // mean of the last 1 % of steps; NaN when none is finite
  int64_t non_finite_losses = 0;
  int64_t first_non_finite = 0;  // its step, where there is one
  double tokens_per_s = 0;       // median; NaN when never measured

  std::optional<ActivationSwitch> last_switch;
  ValidationLosses before_switch;  // the last at or before it
  ValidationLosses at_end;         // the last of all; after the switch, where there is one

  // The final share of zeros, a layer each: of the last validation that has it (`sparsity_source`
  // says so), else the mean of the last 1 % of steps. May be empty.
  std::vector<double> sparsity;
  std::string sparsity_source;
  double mean_sparsity = 0;  // NaN when `sparsity` is empty
};

// `run.steps` is not empty.
RunSummary Summarize(const RunMetrics& run);

}  // namespace stocha

#endif  // STOCHA_REPORT_RUN_SUMMARY_H_
