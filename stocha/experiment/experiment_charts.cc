#include "stocha/experiment/experiment_charts.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "stocha/report/run_summary.h"

namespace stocha {

namespace {

// A curve, or markers, of an arm, named at its end.
Series SeriesOf(size_t index, const GroupResult& arm, Ink ink) {
  Series series = RunSwatch(index, ink);
  series.label = arm.arm;
  series.end_label = arm.arm;
  return series;
}

}  // namespace

Chart FrontierChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all) {
  Chart chart{.title = "Validation loss over sparsity",
              .height = 270,
              .x_bounds = {0, 100},
              .x_name = "silent, %"};
  for (size_t i = 0; i < arms.size(); ++i) {
    Series series = SeriesOf(i, arms[i], Ink::kFilled);
    for (const std::string& name : arms[i].runs) {
      const RunResult& run = *FindRun(all, name);
      if (std::isfinite(run.sparsity)) series.points.push_back({100 * run.sparsity, run.val_loss});
    }
    std::ranges::sort(series.points, {}, &Point::x);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart LayerSparsityChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all) {
  Chart chart{.title = "Sparsity by layer",
              .height = 270,
              .y_format = NumberFormat::kPercent,
              .y_bounds = {0, 1},
              .x_name = "layer"};
  for (size_t i = 0; i < arms.size(); ++i) {
    Series series = SeriesOf(i, arms[i], Ink::kCurve);
    const std::vector<double>& sparsity = FindRun(all, arms[i].runs[0])->sparsity_by_layer;
    for (size_t layer = 0; layer < sparsity.size(); ++layer) {
      series.points.push_back({static_cast<double>(layer), sparsity[layer]});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart ValidationChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all) {
  Chart chart{.title = "Validation loss over tokens",
              .width = 960,
              .height = 400,
              .x_bounds = {0},
              .x_name = "tokens"};
  for (size_t i = 0; i < arms.size(); ++i) {
    Series series = SeriesOf(i, arms[i], Ink::kCurve);
    for (const ValidationPoint& validation : FindRun(all, arms[i].runs[0])->validations) {
      if (!validation.as_trained) continue;
      series.points.push_back({static_cast<double>(validation.tokens), validation.loss});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart MeanSparsityChart(Runs runs) {
  Chart chart{.title = "Sparsity over steps",
              .width = 960,
              .height = 300,
              .y_format = NumberFormat::kPercent,
              .x_bounds = {0, LastStep(runs)},
              .y_bounds = {0, 1},
              .lines = SwitchLines(runs, false)};
  for (const RunMetrics& run : runs) {
    std::vector<Point> points;
    for (const StepMetrics& step : run.steps) {
      points.push_back({static_cast<double>(step.step), MeanOfFinite(step.sparsity)});
    }
    Series series = RunSwatch(run.look, Ink::kCurve);
    series.label = run.name;
    series.end_label = run.name;
    series.points = Smooth(points, SwitchSteps(run));
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace stocha
