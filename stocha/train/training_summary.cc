#include "stocha/train/training_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "stocha/base/error.h"
#include "stocha/base/progress.h"
#include "stocha/recipe/schedule.h"

namespace stocha {
namespace {

std::vector<ValidationMetrics> ValidationsAt(const RunMetrics& metrics, int64_t step) {
  std::vector<ValidationMetrics> found;
  for (const ValidationMetrics& validation : metrics.validations) {
    if (validation.step == step) found.push_back(validation);
  }
  return found;
}

double MeanLastLoss(const RunMetrics& metrics) {
  const size_t count = std::max<size_t>(1, metrics.steps.size() / 100);
  double sum = 0;
  for (size_t i = metrics.steps.size() - count; i < metrics.steps.size(); ++i) {
    sum += metrics.steps[i].loss;
  }
  return sum / static_cast<double>(count);
}

double MedianSpeed(const RunMetrics& metrics) {
  std::vector<double> speeds;
  speeds.reserve(metrics.steps.size());
  for (const StepMetrics& step : metrics.steps) speeds.push_back(step.tokens_per_s);
  std::nth_element(speeds.begin(), speeds.begin() + static_cast<int64_t>(speeds.size() / 2),
                   speeds.end());
  return speeds[speeds.size() / 2];
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<size_t>(1, values.size()));
}

std::string Losses(const std::vector<ValidationMetrics>& validations) {
  std::string text;
  for (const ValidationMetrics& validation : validations) {
    text += fmt::format("{}{:.4f} with {}", text.empty() ? "" : ", ", validation.loss,
                        validation.activation);
  }
  return text;
}

nlohmann::ordered_json LossesJson(const std::vector<ValidationMetrics>& validations) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ValidationMetrics& validation : validations) {
    list.push_back({{"activation", validation.activation}, {"loss", validation.loss}});
  }
  return list;
}

}  // namespace

TrainingSummary Summarize(const Recipe& recipe, const RunMetrics& metrics,
                          const std::filesystem::path& model) {
  if (metrics.steps.empty()) {
    throw Error({.where = (model.parent_path() / "metrics.jsonl").string(),
                 .what = "no steps left to sum up",
                 .hint = "the exported model is whole: " + model.string()});
  }
  const std::vector<int64_t> switches = ActivationSwitches(recipe);
  TrainingSummary summary;
  summary.model = model;
  summary.steps = recipe.steps;
  summary.tokens = metrics.steps.back().tokens;
  summary.tokens_per_s = MedianSpeed(metrics);
  summary.train_loss = MeanLastLoss(metrics);
  summary.at_start = ValidationsAt(metrics, 0);
  if (!switches.empty()) {
    summary.switch_step = switches.back();
    summary.at_switch = ValidationsAt(metrics, switches.back());
  }
  summary.at_end = ValidationsAt(metrics, recipe.steps);
  // ValidationsDue puts the exported model's activation last.
  summary.sparsity =
      summary.at_end.empty() ? metrics.steps.back().sparsity : summary.at_end.back().sparsity;
  return summary;
}

std::string ToText(const TrainingSummary& summary) {
  std::string text = fmt::format("Trained {} steps on {} tokens at {} tok/s; training loss {:.4f}.",
                                 summary.steps, FormatCount(static_cast<double>(summary.tokens)),
                                 FormatCount(summary.tokens_per_s), summary.train_loss);
  if (!summary.at_start.empty()) {
    text += fmt::format(" Validation loss before: {}.", Losses(summary.at_start));
  }
  if (!summary.at_switch.empty()) {
    text += fmt::format(" Validation loss at the switch, after step {}: {}.", summary.switch_step,
                        Losses(summary.at_switch));
  }
  if (!summary.at_end.empty()) {
    text += fmt::format(" Validation loss at the end: {}.", Losses(summary.at_end));
  }
  return text + fmt::format(" Silent hidden units: {:.1f} %. The model is in {}.",
                            100 * Mean(summary.sparsity), summary.model.string());
}

std::string ToJson(const TrainingSummary& summary) {
  return nlohmann::ordered_json{{"model", summary.model.string()},
                                {"steps", summary.steps},
                                {"tokens", summary.tokens},
                                {"tokens_per_s", summary.tokens_per_s},
                                {"train_loss", summary.train_loss},
                                {"validation_at_start", LossesJson(summary.at_start)},
                                {"switch_step", summary.switch_step},
                                {"validation_at_switch", LossesJson(summary.at_switch)},
                                {"validation_at_end", LossesJson(summary.at_end)},
                                {"sparsity", Mean(summary.sparsity)},
                                {"sparsity_per_layer", summary.sparsity}}
      .dump();
}

}  // namespace stocha
