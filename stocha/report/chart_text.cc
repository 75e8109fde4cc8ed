#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "stocha/report/chart.h"

namespace stocha {

// "run-a: 8.31 at 0, 1.31 at 1,999." for every curve, and where the lines stand.
std::string DescribeChart(const Chart& chart) {
  std::string text;
  for (const Series& series : chart.series) {
    if (series.ink != Ink::kCurve) continue;
    const auto finite = [](const Point& point) { return std::isfinite(point.y); };
    const auto first = std::ranges::find_if(series.points, finite);
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(), finite);
    if (first == series.points.end()) continue;
    text += fmt::format("{0}: {2} at {1} {3}, {4} at {1} {5}. ", series.label, chart.x_name,
                        FormatNumber(first->y, chart.y_format), FormatWhole(std::llround(first->x)),
                        FormatNumber(last->y, chart.y_format), FormatWhole(std::llround(last->x)));
  }
  for (const VerticalLine& line : chart.lines) {
    if (line.label.empty()) continue;
    text +=
        fmt::format("{} at {} {}. ", line.label, chart.x_name, FormatWhole(std::llround(line.x)));
  }
  return text;
}

std::string RenderChartTable(const Chart& chart, size_t max_rows) {
  std::vector<const Series*> columns;
  std::vector<double> xs;
  for (const Series& series : chart.series) {
    if (series.ink == Ink::kFaint || series.points.empty()) continue;
    columns.push_back(&series);
    xs.push_back(series.points.front().x);
    xs.push_back(series.points.back().x);
  }
  if (columns.empty()) return "";
  const auto [lo, hi] = std::ranges::minmax(xs);
  const size_t rows = lo == hi ? 1 : std::max<size_t>(max_rows, 2);
  const double spacing = rows > 1 ? (hi - lo) / static_cast<double>(rows - 1) : 1;

  std::string out;
  out += fmt::format("<table><thead><tr><th scope=\"col\">{}</th>", EscapeMarkup(chart.x_name));
  for (const Series* series : columns) {
    out += fmt::format("<th scope=\"col\">{}</th>", EscapeMarkup(series->label));
  }
  out += "</tr></thead><tbody>\n";
  for (size_t row = 0; row < rows; ++row) {
    const double x = std::round(lo + spacing * static_cast<double>(row));
    out += fmt::format("<tr><th scope=\"row\">{}</th>", FormatWhole(static_cast<int64_t>(x)));
    for (const Series* series : columns) {
      const auto nearest = std::ranges::min_element(
          series->points, {}, [x](const Point& point) { return std::abs(point.x - x); });
      const bool near = std::abs(nearest->x - x) <= spacing / 2;
      out += fmt::format("<td>{}</td>", near ? FormatNumber(nearest->y, chart.y_format) : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n";
}

}  // namespace stocha
