#include "stocha/experiment/experiment_charts.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "stocha/report/run_summary.h"

namespace stocha {

Chart FrontierChart(const std::vector<GroupResult>& arms, const std::vector<RunResult>& all) {
  Chart chart{.title = "Validation loss over sparsity",
              .height = 270,
              .x_bounds = {0, 100},
              .x_name = "silent, %"};
  for (size_t i = 0; i < arms.size(); ++i) {
    Series series = RunSwatch(i, Ink::kFilled);
    series.label = arms[i].arm;
    for (const std::string& name : arms[i].runs) {
      const auto run = std::ranges::find(all, name, &RunResult::run);
      if (run == all.end() || !std::isfinite(run->sparsity)) continue;
      series.points.push_back({100 * run->sparsity, run->val_loss});
    }
    std::ranges::sort(series.points, {}, &Point::x);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart LayerSparsityChart(Runs runs, const std::vector<std::vector<double>>& sparsity) {
  Chart chart{.title = "Sparsity by layer",
              .height = 270,
              .y_format = NumberFormat::kPercent,
              .y_bounds = {0, 1},
              .x_name = "layer"};
  for (size_t i = 0; i < runs.size(); ++i) {
    Series series = RunSwatch(i, Ink::kCurve);
    series.label = runs[i].name;
    series.end_label = runs[i].name;
    for (size_t layer = 0; layer < sparsity[i].size(); ++layer) {
      series.points.push_back({static_cast<double>(layer), sparsity[i][layer]});
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
  for (size_t i = 0; i < runs.size(); ++i) {
    std::vector<Point> points;
    for (const StepMetrics& step : runs[i].steps) {
      points.push_back({static_cast<double>(step.step), MeanOfFinite(step.sparsity)});
    }
    Series series = RunSwatch(i, Ink::kCurve);
    series.label = runs[i].name;
    series.end_label = runs[i].name;
    series.points = Smooth(points, SwitchSteps(runs[i]));
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace stocha
