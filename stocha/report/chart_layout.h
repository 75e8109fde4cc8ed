// Where everything in a line chart stands: axes, ticks, margins that fit the labels.
#ifndef STOCHA_REPORT_CHART_LAYOUT_H_
#define STOCHA_REPORT_CHART_LAYOUT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/report/axis.h"
#include "stocha/report/chart.h"

namespace stocha {

// Pixels, for the 12 px font of the style sheet.
inline constexpr double kTextRow = 15;
inline constexpr double kTickGap = 8;     // between a tick's label and the plot
inline constexpr double kEndSwatch = 26;  // the sample of a curve before its label

// An upper estimate: fonts differ.
double TextWidth(std::string_view text);

struct Interval {
  double begin = 0;
  double end = 0;
};

struct ChartLayout {
  Axis x;
  Axis y;
  std::vector<double> x_ticks;
  std::vector<double> y_ticks;
  // Of each vertical line's label: its pixels, and its row above the plot.
  std::vector<Interval> line_labels;
  std::vector<size_t> line_rows;

  double left() const { return x.from; }
  double right() const { return x.to; }
  double top() const { return y.to; }
  double bottom() const { return y.from; }
};

ChartLayout LayOut(const Chart& chart);

// The series' label beside the plot, cut to what the chart has room for.
std::string EndLabel(const Chart& chart, const Series& series);

}  // namespace stocha

#endif  // STOCHA_REPORT_CHART_LAYOUT_H_
