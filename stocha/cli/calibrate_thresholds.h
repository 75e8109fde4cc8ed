// `stocha calibrate --sparsity`: thresholds for each of the sparsities asked for, and what they
// cost.
#ifndef STOCHA_CLI_CALIBRATE_THRESHOLDS_H_
#define STOCHA_CLI_CALIBRATE_THRESHOLDS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/cli/threshold_curve.h"
#include "stocha/engine/calibrate.h"
#include "stocha/engine/model.h"
#include "stocha/eval/perplexity.h"

namespace stocha {

struct ThresholdTask {
  CalibrationText text;
  std::vector<double> sparsities;
  Sharing sharing = Sharing::kLeastHarm;
  std::span<const int32_t> validation;  // empty: none
  PerplexityOptions perplexity;
};

struct ThresholdResult {
  std::vector<CurvePoint> points;  // the model without thresholds, then as asked for
  Firing firing;                   // with the thresholds of the last one
};

// `model` is left with the thresholds of the last one. `check` is called often, and may throw to
// stop. Progress goes to standard error.
ThresholdResult RunThresholds(Model* model, const ThresholdTask& task, ThreadPool& pool,
                              const std::function<void()>& check);

}  // namespace stocha

#endif  // STOCHA_CLI_CALIBRATE_THRESHOLDS_H_
