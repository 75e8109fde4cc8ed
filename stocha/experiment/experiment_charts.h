// The charts of an experiment that a report of runs has not. Colours and shapes are those that
// report/run_charts.h gives the curve of the same index.
#ifndef STOCHA_EXPERIMENT_EXPERIMENT_CHARTS_H_
#define STOCHA_EXPERIMENT_EXPERIMENT_CHARTS_H_

#include <vector>

#include "stocha/experiment/results.h"
#include "stocha/report/chart.h"
#include "stocha/report/run_charts.h"

namespace stocha {

// `arms` have runs, all of them in `all`.
//
// Validation loss over sparsity in percent, a marker a run.
Chart FrontierChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all);

// At the end, of each arm's first run.
Chart LayerSparsityChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all);

// Validation loss over tokens, of each arm's first run, with the activation that it is trained with
// at that time; up and down where that changes.
Chart ValidationChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all);

// Over the steps of training, the mean of the layers.
Chart MeanSparsityChart(Runs runs);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_EXPERIMENT_CHARTS_H_
