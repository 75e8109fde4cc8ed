// metrics.jsonl: one JSON object a line. The trainer appends, `stocha report` reads.
//
// {"type":"step","step":12,"loss":..,"lr":..,"grad_norm":..,"activation":"stocha:0.7","p":0.7,
//  "tokens":..,"tokens_per_s":..,"sparsity":[one a layer]}
// A run with a teacher has "distillation" too, and in its layer-wise steps loss is null.
// {"type":"validation","step":13,"loss":..,"activation":"relu","sparsity":[..]}
#ifndef STOCHA_REPORT_METRICS_H_
#define STOCHA_REPORT_METRICS_H_

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

struct StepMetrics {
  int64_t step = 0;  // 0-based; the loss is of the weights before this step's update
  double loss = 0;   // mean cross-entropy, nats a token; without any L1 penalty; NaN: not computed
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  std::string activation;    // ToString
  double p = 0;
  int64_t tokens = 0;  // trained on so far, this step included
  double tokens_per_s = 0;
  std::vector<double> sparsity;  // share of hidden activations that are 0, a layer each
  // StepGradients::distillation; NaN without a teacher.
  double distillation = std::numeric_limits<double>::quiet_NaN();

  // No cross-entropy, and none expected.
  bool layerwise() const { return std::isnan(loss) && !std::isnan(distillation); }
};

struct ValidationMetrics {
  int64_t step = 0;  // steps done before it
  double loss = 0;   // nats a token, with `activation`
  std::string activation;
  std::vector<double> sparsity;
};

// "loss 4.1234", or "error 0.0123" of a layer-wise step.
std::string ShownLoss(const StepMetrics& metrics);

// One line, its end not included. What is no number in JSON (NaN, infinity) becomes null.
std::string ToJsonLine(const StepMetrics& metrics);
std::string ToJsonLine(const ValidationMetrics& metrics);

struct RunMetrics {
  std::string name;  // the run folder's
  std::vector<StepMetrics> steps;
  std::vector<ValidationMetrics> validations;
  size_t look =
      0;  // which colour and pattern charts draw it in; whoever shows several numbers them
};

// Reads RUN/metrics.jsonl. A last line without its end was cut off by a kill and is ignored; any
// other broken line throws Error with file and line. null is read as NaN.
RunMetrics ReadRunMetrics(const std::filesystem::path& run);

// Drops what a resumed run will write again: lines of step >= `step` (validation: > `step`; all
// when it starts at 0), and a line cut off. Rewrites the file aside. No file: nothing to do.
void TruncateMetrics(const std::filesystem::path& file, int64_t step);

}  // namespace stocha

#endif  // STOCHA_REPORT_METRICS_H_
