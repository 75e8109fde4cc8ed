// Which curves of a run stand in which chart.
#ifndef STOCHA_REPORT_RUN_CHARTS_H_
#define STOCHA_REPORT_RUN_CHARTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stocha/report/chart.h"
#include "stocha/report/metrics.h"

namespace stocha {

// Every function takes runs that are not empty, whose steps are not empty and rise.
using Runs = std::span<const RunMetrics>;

enum class ChartWidth : uint8_t {
  kWide,    // the whole page of a desk screen
  kNarrow,  // a phone
};

// Training loss, raw and smoothed, validation losses, and every switch of activation.
Chart LossChart(Runs runs, ChartWidth width);
// The same around the last switches; none when no run switches or that would show the most part.
std::optional<Chart> SwitchChart(Runs runs, ChartWidth width);

Chart ProbabilityChart(Runs runs);
Chart LearningRateChart(Runs runs);
Chart GradientNormChart(Runs runs);
Chart ThroughputChart(Runs runs);

// Where the axes of all charts end: the last step of any run, at least 1.
double LastStep(Runs runs);

// Lines where a run switches; a switch that runs share is drawn once. With labels, each names its
// run where runs differ.
std::vector<VerticalLine> SwitchLines(Runs runs, bool labels);

// The line and, in other inks, the markers of a run with that RunMetrics::look.
Series RunSwatch(size_t look, Ink ink);

}  // namespace stocha

#endif  // STOCHA_REPORT_RUN_CHARTS_H_
