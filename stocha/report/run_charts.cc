#include "stocha/report/run_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/report/markup.h"
#include "stocha/report/run_summary.h"

namespace stocha {
namespace {

constexpr size_t kWidePoints = 2000;  // of a raw curve across the page
constexpr size_t kSmallPoints = 900;  // and in a small chart
constexpr size_t kWideMarkers = 40;   // more would hide the curve
constexpr size_t kSmallMarkers = 20;
constexpr size_t kRunColours = 7;  // in the style sheet: r0 .. r6
constexpr double kLogRatio = 3;    // highest to lowest loss from which a log axis shows more

// Steps that compute no loss have no point in its curve.
std::vector<Point> Curve(const RunMetrics& run, double StepMetrics::* field) {
  std::vector<Point> points;
  points.reserve(run.steps.size());
  for (const StepMetrics& step : run.steps) {
    if (field == &StepMetrics::loss && step.layerwise()) continue;
    points.push_back({static_cast<double>(step.step), step.*field});
  }
  return points;
}

bool SpansWide(const std::vector<Series>& all, double ratio) {
  double lo = std::numeric_limits<double>::infinity();
  double hi = 0;
  for (const Series& series : all) {
    for (const Point& point : series.points) {
      if (!std::isfinite(point.y)) continue;
      lo = std::min(lo, point.y);
      hi = std::max(hi, point.y);
    }
  }
  return lo > 0 && hi > ratio * lo;
}

std::vector<Point> Copy(std::span<const Point> points) { return {points.begin(), points.end()}; }

// The validation losses within [lo, hi]: with the activation of that time, and with ReLU while
// training had another.
void AddValidations(const RunMetrics& run, double lo, double hi, size_t max_markers,
                    std::vector<Series>* all) {
  std::vector<Point> current;
  std::vector<Point> relu;
  for (const ValidationMetrics& validation : run.validations) {
    const bool trial = IsReluTrial(run, validation);
    (trial ? relu : current).push_back({static_cast<double>(validation.step), validation.loss});
  }
  const auto add = [&](std::span<const Point> points, Ink ink, std::string_view name) {
    Series series = RunSwatch(run.look, ink);
    series.label = fmt::format("{}, {}", run.name, name);
    series.points = PickEvenly(Between(points, lo, hi), max_markers);
    if (!series.points.empty()) all->push_back(std::move(series));
  };
  add(relu, Ink::kHollow, "validation with ReLU");
  add(current, Ink::kFilled, "validation");
}

// Raw behind smoothed; all runs' raw curves behind all else.
void AddNoisyCurves(Runs runs, double StepMetrics::* field, double lo, double hi, size_t max_points,
                    std::vector<Series>* all) {
  std::vector<Series> smooth;
  for (const RunMetrics& run : runs) {
    const std::vector<Point> raw = Curve(run, field);
    Series faint = RunSwatch(run.look, Ink::kFaint);
    faint.points = ThinMinMax(Between(raw, lo, hi), max_points);
    all->push_back(std::move(faint));
    Series strong = RunSwatch(run.look, Ink::kCurve);
    strong.label = run.name;
    if (runs.size() > 1) strong.end_label = run.name;
    strong.points = Copy(Between(Smooth(raw, SwitchSteps(run)), lo, hi));
    smooth.push_back(std::move(strong));
  }
  std::ranges::move(smooth, std::back_inserter(*all));
}

Chart LossBetween(Runs runs, double lo, double hi, ChartWidth width) {
  const bool wide = width == ChartWidth::kWide;
  Chart chart{.width = wide ? 960 : 380, .height = wide ? 400 : 320, .x_bounds = {lo, hi}};
  AddNoisyCurves(runs, &StepMetrics::loss, lo, hi, wide ? kWidePoints : kSmallPoints,
                 &chart.series);
  for (const RunMetrics& run : runs) {
    AddValidations(run, lo, hi, wide ? kWideMarkers : kSmallMarkers, &chart.series);
  }
  if (!wide) {  // a phone has no room beside the plot
    for (Series& series : chart.series) series.end_label.clear();
  }
  chart.log_y = SpansWide(chart.series, kLogRatio);
  for (VerticalLine& line : SwitchLines(runs, true)) {
    if (line.x >= lo && line.x <= hi) chart.lines.push_back(std::move(line));
  }
  // Tokens under the steps, when every run takes as many a step.
  const auto per_step = [](const RunMetrics& run) {
    const StepMetrics& last = run.steps.back();
    return static_cast<double>(last.tokens) / static_cast<double>(last.step + 1);
  };
  const double tokens = per_step(runs[0]);
  const bool agree = std::ranges::all_of(runs, [&](const RunMetrics& run) {
    return std::abs(per_step(run) - tokens) <= 0.01 * tokens;
  });
  if (agree && tokens > 0) {
    chart.second_x_name = "tokens";
    chart.second_x_scale = tokens;
  }
  return chart;
}

// One field of every run in a small chart.
Chart SmallChart(Runs runs, const char* title, double StepMetrics::* field, bool noisy) {
  const double last = LastStep(runs);
  Chart chart{.title = title, .x_bounds = {0, last}, .lines = SwitchLines(runs, false)};
  if (noisy) {
    AddNoisyCurves(runs, field, 0, last, kSmallPoints, &chart.series);
  } else {
    for (const RunMetrics& run : runs) {
      Series series = RunSwatch(run.look, Ink::kCurve);
      series.label = run.name;
      if (runs.size() > 1) series.end_label = run.name;
      series.points = ThinMinMax(Curve(run, field), kSmallPoints);
      chart.series.push_back(std::move(series));
    }
  }
  return chart;
}

}  // namespace

double LastStep(Runs runs) {
  int64_t last = 1;
  for (const RunMetrics& run : runs) {
    last = std::max(last, run.steps.back().step);
    if (!run.validations.empty()) last = std::max(last, run.validations.back().step);
  }
  return static_cast<double>(last);
}

std::vector<VerticalLine> SwitchLines(Runs runs, bool labels) {
  struct Marked {
    ActivationSwitch change;
    std::vector<size_t> runs;
  };
  std::vector<Marked> all;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (ActivationSwitch& change : FindSwitches(runs[i])) {
      const auto same = std::ranges::find_if(all, [&change](const Marked& m) {
        return m.change.step == change.step && m.change.from == change.from &&
               m.change.to == change.to;
      });
      if (same == all.end()) {
        all.push_back({std::move(change), {i}});
      } else {
        same->runs.push_back(i);
      }
    }
  }
  std::ranges::sort(all, {}, [](const Marked& m) { return std::pair(m.change.step, m.runs[0]); });
  std::vector<VerticalLine> lines;
  for (const Marked& marked : all) {
    VerticalLine line{.x = static_cast<double>(marked.change.step)};
    if (labels) {
      line.label = Shorten(marked.change.from, 24) + " → " + Shorten(marked.change.to, 24);
      if (marked.runs.size() < runs.size()) {
        std::string names;
        for (const size_t run : marked.runs) {
          names += (names.empty() ? "" : ", ") + Shorten(runs[run].name, 12);
        }
        line.label = Shorten(names, 26) + ": " + line.label;
      }
    }
    // One run's line has its colour; a shared one has the text's.
    if (marked.runs.size() == 1)
      line.colour = RunSwatch(runs[marked.runs[0]].look, Ink::kCurve).colour;
    lines.push_back(std::move(line));
  }
  return lines;
}

Series RunSwatch(size_t look, Ink ink) {
  return {.colour = fmt::format("r{}", look % kRunColours), .pattern = look, .ink = ink};
}

Chart LossChart(Runs runs, ChartWidth width) {
  Chart chart = LossBetween(runs, 0, LastStep(runs), width);
  chart.title = "Loss over steps";
  return chart;
}

std::optional<Chart> SwitchChart(Runs runs, ChartWidth width) {
  const double last = LastStep(runs);
  double first_switch = last;
  double last_switch = 0;
  for (const RunMetrics& run : runs) {
    const std::vector<double> steps = SwitchSteps(run);
    if (steps.empty()) continue;
    first_switch = std::min(first_switch, steps.back());
    last_switch = std::max(last_switch, steps.back());
  }
  const double room = std::max(8.0, std::clamp(last - last_switch, 0.02 * last, 0.1 * last));
  const double lo = std::max(0.0, std::floor(first_switch - room));
  const double hi = std::min(last, std::ceil(last_switch + room));
  if (last_switch == 0 || hi - lo > 0.6 * last) return std::nullopt;
  Chart chart = LossBetween(runs, lo, hi, width);
  chart.title = "Loss around the switch";
  if (width == ChartWidth::kWide) chart.height = 300;
  return chart;
}

Chart ProbabilityChart(Runs runs) {
  Chart chart = SmallChart(runs, "Probability p", &StepMetrics::p, false);
  chart.y_bounds = {0, 1};
  return chart;
}

Chart LearningRateChart(Runs runs) {
  Chart chart = SmallChart(runs, "Learning rate", &StepMetrics::learning_rate, false);
  chart.y_bounds = {0};
  return chart;
}

Chart GradientNormChart(Runs runs) {
  Chart chart = SmallChart(runs, "Gradient norm", &StepMetrics::gradient_norm, true);
  chart.log_y = SpansWide(chart.series, 10);
  return chart;
}

Chart ThroughputChart(Runs runs) {
  Chart chart = SmallChart(runs, "Tokens a second", &StepMetrics::tokens_per_s, true);
  chart.y_bounds = {0};
  return chart;
}

}  // namespace stocha
