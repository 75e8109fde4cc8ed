#include "stocha/report/chart_layout.h"

#include <algorithm>
#include <cmath>

namespace stocha {
namespace {

constexpr double kCharacter = 6.7;  // pixels, an upper estimate of the mean width
constexpr double kTopMargin = 8;
constexpr double kRightMargin = 24;  // half a tick's label
constexpr double kMinPlot = 40;

// A label starts at its line; it ends there where it would leave the chart.
Interval LineLabelSpan(const Chart& chart, double x, const VerticalLine& line) {
  const double width = TextWidth(line.label) + 4;
  if (x + width <= chart.width) return {x, x + width};
  const double end = std::max(x, width);
  return {end - width, end};
}

// Each label in the first row where it touches no other. Returns the number of rows.
size_t PlaceLineLabels(const Chart& chart, ChartLayout* layout) {
  std::vector<std::vector<Interval>> rows;
  for (const VerticalLine& line : chart.lines) {
    const Interval span = LineLabelSpan(chart, layout->x.Pixel(line.x), line);
    const auto is_free = [&span](const std::vector<Interval>& row) {
      return std::ranges::none_of(row, [&span](const Interval& other) {
        return span.begin < other.end && other.begin < span.end;
      });
    };
    const size_t row = std::ranges::find_if(rows, is_free) - rows.begin();
    layout->line_labels.push_back(span);
    layout->line_rows.push_back(row);
    if (line.label.empty()) continue;
    if (row == rows.size()) rows.emplace_back();
    rows[row].push_back(span);
  }
  return rows.size();
}

}  // namespace

double TextWidth(std::string_view text) {
  return kCharacter * static_cast<double>(CharacterCount(text));
}

std::string EndLabel(const Chart& chart, const Series& series) {
  return Shorten(series.end_label, static_cast<size_t>(std::max(13, chart.width / 40)));
}

ChartLayout LayOut(const Chart& chart) {
  std::vector<double> xs;
  std::vector<double> ys;
  double right_margin = kRightMargin;
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) {
      xs.push_back(point.x);
      ys.push_back(point.y);
    }
    if (series.end_label.empty()) continue;
    right_margin = std::max(right_margin, kEndSwatch + TextWidth(EndLabel(chart, series)));
  }
  ChartLayout layout;
  layout.x = FitAxis(xs, chart.x_bounds, false);
  layout.y = FitAxis(ys, chart.y_bounds, chart.log_y);
  layout.y_ticks = Ticks(layout.y, std::max(4, chart.height / 40));

  // Room for the names of the rows under the plot beside half a tick's label, and for y labels.
  const double names = std::max(TextWidth(chart.x_name), TextWidth(chart.second_x_name));
  double left = names + TextWidth(FormatWhole(std::llround(layout.x.lo))) / 2;
  for (const double tick : layout.y_ticks) {
    left = std::max(left, TextWidth(FormatNumber(tick, chart.y_format)));
  }
  layout.x.from = left + kTickGap;
  layout.x.to = std::max(layout.x.from + kMinPlot, chart.width - right_margin);
  const double plot_width = layout.x.to - layout.x.from;
  layout.x_ticks = Ticks(layout.x, std::max(2, static_cast<int>(plot_width / 85)), true);

  const size_t rows = PlaceLineLabels(chart, &layout);
  layout.y.to = kTopMargin + kTextRow * static_cast<double>(rows);
  const double below = kTickGap + kTextRow * (chart.second_x_name.empty() ? 1 : 2);
  layout.y.from = std::max(layout.y.to + kMinPlot, chart.height - below);
  return layout;
}

}  // namespace stocha
