// Line charts as inline SVG: linear or logarithmic, with gaps, markers, vertical lines and labels
// at the ends of curves. Colours are CSS classes, so that light, dark and print share one drawing.
//
// The SVG has no ids, scripts or links. A script may read it: data-x and data-y of <svg> are "lo hi
// pixel_lo pixel_hi lin|log", data-x-name what x counts, data-label of a curve is its name.
#ifndef STOCHA_REPORT_CHART_H_
#define STOCHA_REPORT_CHART_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "stocha/report/markup.h"
#include "stocha/report/series.h"

namespace stocha {

enum class Ink : uint8_t {
  kCurve,   // the message
  kFaint,   // what lies behind it: thin, light, undashed, in no read-out
  kFilled,  // markers
  kHollow,  // markers
};

struct Series {
  std::string label;
  std::string colour;  // a CSS class that sets --c
  size_t pattern = 0;  // dashes of a curve, shape of markers; any number
  Ink ink = Ink::kCurve;
  std::string end_label;      // beside the right end of the plot; empty: none
  std::vector<Point> points;  // x rises
};

struct VerticalLine {
  double x = 0;
  std::string label;   // above the plot; empty: none
  std::string colour;  // a CSS class
};

struct Chart {
  std::string title;  // the accessible name
  int width = 460;    // in CSS pixels at full size
  int height = 230;
  bool log_y = false;
  NumberFormat y_format = NumberFormat::kPlain;
  std::vector<double> x_bounds;  // values the axis must cover; hard ends
  std::vector<double> y_bounds;
  std::string x_name = "step";  // whole numbers
  std::string second_x_name;    // a second row of labels under the ticks; empty: none
  double second_x_scale = 1;    // its values, an x
  std::vector<VerticalLine> lines;
  std::vector<Series> series;
};

std::string RenderChart(const Chart& chart);

// What a reader who cannot see the chart should know, in a sentence or two; part of its SVG.
std::string DescribeChart(const Chart& chart);

// The chart's curves and markers as an HTML table of at most `max_rows` rows. Faint ones are left
// out.
std::string RenderChartTable(const Chart& chart, size_t max_rows = 12);

// A sample of a curve, with its marker where `with_marker`, for a legend.
std::string RenderSwatch(const Series& series, bool with_marker);

}  // namespace stocha

#endif  // STOCHA_REPORT_CHART_H_
