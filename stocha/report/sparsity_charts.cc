#include "stocha/report/sparsity_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "stocha/report/markup.h"
#include "stocha/report/run_summary.h"

namespace stocha {
namespace {

constexpr int kHeight = 270;
constexpr size_t kMapColumns = 120;
constexpr size_t kLayerColours = 8;  // in the style sheet: q0 .. q7
constexpr size_t kMaxLayerNames = 8;
constexpr size_t kMaxTrials = 20;  // more would hide the curves
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Sparsity where it was measured. [layers] curves of as many points.
std::vector<std::vector<Point>> LayerCurves(const RunMetrics& run) {
  size_t count = 0;
  for (const StepMetrics& step : run.steps) count = std::max(count, step.sparsity.size());
  std::vector<std::vector<Point>> layers(count);
  for (const StepMetrics& step : run.steps) {
    if (step.sparsity.empty()) continue;
    for (size_t i = 0; i < count; ++i) {
      layers[i].push_back(
          {static_cast<double>(step.step), i < step.sparsity.size() ? step.sparsity[i] : kNaN});
    }
  }
  return layers;
}

// The mean of layers that a switch to ReLU would have given.
void AddReluTrials(const RunMetrics& run, Chart* chart) {
  std::vector<Point> points;
  for (const ValidationMetrics& validation : run.validations) {
    if (validation.sparsity.empty() || !IsReluTrial(run, validation)) continue;
    points.push_back({static_cast<double>(validation.step), MeanOfFinite(validation.sparsity)});
  }
  if (points.empty()) return;
  chart->series.push_back({.label = "validation with ReLU, mean of layers",
                           .colour = "ink",
                           .ink = Ink::kHollow,
                           .points = PickEvenly(points, kMaxTrials)});
}

std::string LayerColour(size_t layer, size_t layers) {
  return fmt::format("q{}", layers < 2 ? 0 : layer * (kLayerColours - 1) / (layers - 1));
}

}  // namespace

std::optional<Chart> SparsityChart(Runs runs, size_t index) {
  const std::vector<std::vector<Point>> layers = LayerCurves(runs[index]);
  if (layers.empty()) return std::nullopt;
  Chart chart{.title = "Sparsity of each layer, " + runs[index].name,
              .height = kHeight,
              .y_format = NumberFormat::kPercent,
              .x_bounds = {0, LastStep(runs)},
              .lines = SwitchLines(runs.subspan(index, 1), false)};
  const std::vector<double> breaks = SwitchSteps(runs[index]);
  const size_t stride = (layers.size() - 1) / kMaxLayerNames + 1;
  for (size_t i = 0; i < layers.size(); ++i) {
    Series series{.label = fmt::format("layer {}", i), .colour = LayerColour(i, layers.size())};
    if (i % stride == 0 || i + 1 == layers.size()) series.end_label = series.label;
    series.points = Smooth(layers[i], breaks);
    chart.series.push_back(std::move(series));
  }
  AddReluTrials(runs[index], &chart);
  return chart;
}

std::optional<HeatMap> SparsityHeatMap(Runs runs, size_t index) {
  const std::vector<std::vector<Point>> layers = LayerCurves(runs[index]);
  if (layers.empty()) return std::nullopt;
  HeatMap map{.title = "Sparsity of each layer as a heat map, " + runs[index].name,
              .description = "The same values as the chart of lines beside it.",
              .height = kHeight,
              .x_end = LastStep(runs),
              .marked_x = SwitchSteps(runs[index])};
  for (const std::vector<Point>& layer : layers) {
    const std::vector<Point> means = BinMeans(layer, kMapColumns);
    map.columns.resize(means.size());
    for (size_t i = 0; i < means.size(); ++i) map.columns[i].push_back(means[i].y);
  }
  // A column reaches halfway to its neighbours.
  const std::vector<Point> means = BinMeans(layers[0], kMapColumns);
  map.x_edges = {layers[0].front().x};
  for (size_t i = 1; i < means.size(); ++i) {
    map.x_edges.push_back((means[i - 1].x + means[i].x) / 2);
  }
  map.x_edges.push_back(static_cast<double>(runs[index].steps.back().step + 1));
  return map;
}

}  // namespace stocha
