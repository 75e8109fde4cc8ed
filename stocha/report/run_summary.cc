#include "stocha/report/run_summary.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <span>

namespace stocha {
namespace {

constexpr size_t kMaxSwitches = 6;  // more would hide the curves
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::string_view KindOf(std::string_view activation) {
  return activation.substr(0, activation.find_first_of(":,"));
}

double MedianRate(const RunMetrics& run) {
  std::vector<double> rates;
  for (const StepMetrics& step : run.steps) {
    if (std::isfinite(step.tokens_per_s) && step.tokens_per_s > 0) {
      rates.push_back(step.tokens_per_s);
    }
  }
  if (rates.empty()) return kNaN;
  const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
  std::ranges::nth_element(rates, middle);
  return *middle;
}

// The losses of the last validation in `validations`: those of its step.
ValidationLosses LastOf(const RunMetrics& run, std::span<const ValidationMetrics> validations) {
  ValidationLosses losses{kNaN, kNaN};
  for (const ValidationMetrics& validation : validations) {
    if (validation.step != validations.back().step) continue;
    (IsReluTrial(run, validation) ? losses.relu_trial : losses.as_trained) = validation.loss;
  }
  return losses;
}

void SummarizeSparsity(const RunMetrics& run, std::span<const StepMetrics> last_steps,
                       RunSummary* summary) {
  const auto measured =
      std::find_if(run.validations.rbegin(), run.validations.rend(),
                   [](const ValidationMetrics& v) { return !v.sparsity.empty(); });
  if (measured != run.validations.rend()) {
    summary->sparsity = measured->sparsity;
    summary->sparsity_source = "last validation, " + measured->activation;
  } else {
    std::vector<std::vector<double>> layers;  // [layers, steps]
    for (const StepMetrics& step : last_steps) {
      if (step.sparsity.size() > layers.size()) layers.resize(step.sparsity.size());
      for (size_t i = 0; i < step.sparsity.size(); ++i) layers[i].push_back(step.sparsity[i]);
    }
    for (const std::vector<double>& layer : layers)
      summary->sparsity.push_back(MeanOfFinite(layer));
    if (!layers.empty()) summary->sparsity_source = "training, last 1% of steps";
  }
  summary->mean_sparsity = MeanOfFinite(summary->sparsity);
}

}  // namespace

std::vector<ActivationSwitch> FindSwitches(const RunMetrics& run) {
  std::vector<ActivationSwitch> switches;
  for (size_t i = 1; i < run.steps.size(); ++i) {
    const std::string& from = run.steps[i - 1].activation;
    const std::string& to = run.steps[i].activation;
    if (from != to) switches.push_back({run.steps[i].step, from, to});
  }
  if (switches.size() <= kMaxSwitches) return switches;
  std::erase_if(switches, [](const ActivationSwitch& s) { return KindOf(s.from) == KindOf(s.to); });
  if (switches.size() > kMaxSwitches)
    switches.erase(switches.begin(), switches.end() - kMaxSwitches);
  return switches;
}

double MeanOfFinite(std::span<const double> values) {
  double sum = 0;
  double count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : kNaN;
}

std::vector<double> SwitchSteps(const RunMetrics& run) {
  std::vector<double> steps;
  for (const ActivationSwitch& change : FindSwitches(run)) {
    steps.push_back(static_cast<double>(change.step));
  }
  return steps;
}

bool IsRelu(std::string_view activation) { return activation == "relu" || activation == "relu2"; }

bool IsReluTrial(const RunMetrics& run, const ValidationMetrics& validation) {
  const auto after = std::ranges::lower_bound(run.steps, validation.step, {}, &StepMetrics::step);
  const auto last_trained = after == run.steps.begin() ? after : std::prev(after);
  return IsRelu(validation.activation) && !IsRelu(last_trained->activation);
}

RunSummary Summarize(const RunMetrics& run) {
  RunSummary summary;
  summary.steps = run.steps.back().step + 1;
  summary.tokens = run.steps.back().tokens;
  const size_t tail = (run.steps.size() + 99) / 100;
  const std::span<const StepMetrics> last_steps = std::span(run.steps).last(tail);
  std::vector<double> losses;
  for (const StepMetrics& step : last_steps) losses.push_back(step.loss);
  summary.final_train_loss = MeanOfFinite(losses);
  for (const StepMetrics& step : run.steps) {
    if (std::isfinite(step.loss) || step.layerwise()) continue;
    if (summary.non_finite_losses++ == 0) summary.first_non_finite = step.step;
  }
  summary.tokens_per_s = MedianRate(run);

  std::span<const ValidationMetrics> after(run.validations);
  summary.before_switch = LastOf(run, {});
  if (const std::vector<ActivationSwitch> switches = FindSwitches(run); !switches.empty()) {
    summary.last_switch = switches.back();
    const auto split =
        std::ranges::upper_bound(after, switches.back().step, {}, &ValidationMetrics::step);
    summary.before_switch = LastOf(run, {after.begin(), split});
    after = {split, after.end()};
  }
  summary.at_end = LastOf(run, after);
  SummarizeSparsity(run, last_steps, &summary);
  return summary;
}

}  // namespace stocha
