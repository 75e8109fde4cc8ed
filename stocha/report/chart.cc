#include "stocha/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "stocha/report/chart_layout.h"

namespace stocha {
namespace {

constexpr size_t kDashes = 5;  // patterns in the style sheet: d0 .. d4
constexpr size_t kShapes = 5;

std::string MarkerPath(size_t shape, double x, double y) {
  switch (shape % kShapes) {
    case 0:  // circle
      return fmt::format("M{:.1f} {:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", x - 4, y);
    case 1:  // square
      return fmt::format("M{:.1f} {:.1f}h7v7h-7z", x - 3.5, y - 3.5);
    case 2:  // triangle
      return fmt::format("M{:.1f} {:.1f}h9l-4.5 -8z", x - 4.5, y + 3.5);
    case 3:  // diamond
      return fmt::format("M{:.1f} {:.1f}l4.8 4.8l-4.8 4.8l-4.8 -4.8z", x, y - 4.8);
    default:  // triangle, point down
      return fmt::format("M{:.1f} {:.1f}h9l-4.5 8z", x - 4.5, y - 3.5);
  }
}

bool IsMarkers(const Series& series) {
  return series.ink == Ink::kFilled || series.ink == Ink::kHollow;
}

std::string MarkerClass(const Series& series) {
  return (series.ink == Ink::kHollow ? "hollow " : "filled ") + series.colour;
}

std::string CurveClass(const Series& series) {
  if (series.ink == Ink::kFaint) return "faint " + series.colour;
  return fmt::format("curve {} d{}", series.colour, series.pattern % kDashes);
}

std::string Text(std::string_view css_class, double x, double y, std::string_view text) {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", css_class, x, y,
                     EscapeMarkup(text));
}

std::string PathElement(std::string_view css_class, std::string_view attributes,
                        std::string_view path) {
  return fmt::format("<path class=\"{}\"{} d=\"{}\"/>", css_class, attributes, path);
}

// A row of labels under the ticks, its name at the far left.
template <typename Label>  // std::string (double tick)
std::string TickRow(const ChartLayout& layout, double y, const std::string& name,
                    const Label& label) {
  std::string out = Text("name", 0, y, name);
  for (const double tick : layout.x_ticks) {
    const std::string text = label(tick);
    const double x = layout.x.Pixel(tick);
    const bool touches_name = x - TextWidth(text) / 2 < TextWidth(name) + 2;
    if (!touches_name) out += Text("mid", x, y, text);
  }
  return out;
}

std::string Axes(const Chart& chart, const ChartLayout& layout) {
  std::string out;
  for (const double tick : layout.y_ticks) {
    const double y = layout.y.Pixel(tick);
    out += PathElement("grid", "",
                       fmt::format("M{:.1f} {:.1f}H{:.1f}", layout.left(), y, layout.right()));
    out += Text("end", layout.left() - kTickGap, y + 4, FormatNumber(tick, chart.y_format));
  }
  std::string path =
      fmt::format("M{:.1f} {:.1f}H{:.1f}", layout.left(), layout.bottom(), layout.right());
  for (const double tick : layout.x_ticks) {
    path += fmt::format("M{:.1f} {:.1f}v4", layout.x.Pixel(tick), layout.bottom());
  }
  out += PathElement("axis", "", path);
  const double y = layout.bottom() + 2 + kTextRow;
  out +=
      TickRow(layout, y, chart.x_name, [](double tick) { return FormatWhole(std::llround(tick)); });
  if (!chart.second_x_name.empty()) {
    out += TickRow(layout, y + kTextRow, chart.second_x_name,
                   [&chart](double tick) { return FormatNumber(tick * chart.second_x_scale); });
  }
  return out;
}

std::string VerticalLines(const Chart& chart, const ChartLayout& layout) {
  std::string out;
  for (size_t i = 0; i < chart.lines.size(); ++i) {
    const VerticalLine& line = chart.lines[i];
    const Interval label = layout.line_labels[i];
    const double x = layout.x.Pixel(line.x);
    const double text_y = 11 + kTextRow * static_cast<double>(layout.line_rows[i]);
    const double top = line.label.empty() ? layout.top() : text_y + 4;
    out += PathElement("switch " + line.colour, "",
                       fmt::format("M{:.1f} {:.1f}V{:.1f}", x, top, layout.bottom()));
    if (line.label.empty()) continue;
    const bool starts_at_line = label.begin == x;
    out += starts_at_line ? Text("label", x, text_y, line.label)
                          : Text("label end", label.end, text_y, line.label);
  }
  return out;
}

// A gap ends a stretch; a stretch of one point becomes a line to itself, which round caps show as a
// dot.
std::string CurvePath(const Series& series, const ChartLayout& layout) {
  std::string path;
  std::string last;  // the point before; empty after a gap
  size_t length = 0;
  const auto end_stretch = [&] {
    if (length == 1) path += "L" + last;
    length = 0;
  };
  for (const Point& point : series.points) {
    if (!layout.y.CanShow(point.y)) {
      end_stretch();
      continue;
    }
    last = fmt::format("{:.1f} {:.2f}", layout.x.Pixel(point.x), layout.y.Pixel(point.y));
    path += (length++ == 0 ? "M" : "L") + last;
  }
  end_stretch();
  return path;
}

std::string Draw(const Series& series, const ChartLayout& layout) {
  std::string attributes;
  if (series.ink != Ink::kFaint) {
    attributes = fmt::format(" data-label=\"{}\"", EscapeMarkup(series.label));
  }
  const std::string centres = CurvePath(series, layout);
  if (centres.empty()) return "";
  if (!IsMarkers(series)) {
    const bool lone = series.points.size() == 1;
    return PathElement(CurveClass(series) + (lone ? " dot" : ""), attributes, centres);
  }
  std::string path;
  std::string at;
  for (const Point& point : series.points) {
    if (!layout.y.CanShow(point.y)) continue;
    const double x = layout.x.Pixel(point.x);
    const double y = layout.y.Pixel(point.y);
    path += MarkerPath(series.pattern, x, y);
    at += fmt::format("M{:.1f} {:.2f}", x, y);
  }
  return PathElement(MarkerClass(series), fmt::format("{} data-at=\"{}\"", attributes, at), path);
}

// Names at the right, as near to the ends of their curves as they fit without touching.
std::string EndLabels(const Chart& chart, const ChartLayout& layout) {
  struct Placed {
    double y;
    const Series* series;
  };
  std::vector<Placed> placed;
  for (const Series& series : chart.series) {
    if (series.end_label.empty()) continue;
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                                   [&](const Point& p) { return layout.y.CanShow(p.y); });
    if (last != series.points.rend()) placed.push_back({layout.y.Pixel(last->y), &series});
  }
  if (placed.empty()) return "";
  std::ranges::sort(placed, {}, [](const Placed& p) { return std::pair(p.y, p.series); });
  const double height = layout.bottom() - layout.top();
  const double row = std::min(kTextRow, height / static_cast<double>(placed.size()));
  double limit = layout.top();
  for (Placed& label : placed) {
    label.y = std::max(label.y, limit);
    limit = label.y + row;
  }
  limit = layout.bottom() - 4;
  for (auto label = placed.rbegin(); label != placed.rend(); ++label) {
    label->y = std::min(label->y, limit);
    limit = label->y - row;
  }
  std::string out;
  for (const Placed& label : placed) {
    const double x = layout.right() + 6;
    out += IsMarkers(*label.series) ? PathElement(MarkerClass(*label.series), "",
                                                  MarkerPath(label.series->pattern, x + 8, label.y))
                                    : PathElement(CurveClass(*label.series), "",
                                                  fmt::format("M{:.1f} {:.1f}h16", x, label.y));
    out += Text("label", layout.right() + kEndSwatch, label.y + 4, EndLabel(chart, *label.series));
  }
  return out;
}

// What a script needs to turn pixels back into values.
std::string ScaleAttribute(std::string_view name, const Axis& axis) {
  return fmt::format(" data-{}=\"{:.10g} {:.10g} {:.1f} {:.1f} {}\"", name, axis.lo, axis.hi,
                     axis.from, axis.to, axis.logarithmic ? "log" : "lin");
}

}  // namespace

std::string RenderChart(const Chart& chart) {
  const ChartLayout layout = LayOut(chart);
  std::string curves;
  for (const Series& series : chart.series) curves += Draw(series, layout) + "\n";
  if (curves.find('<') == std::string::npos) {
    curves = Text("mid", (layout.left() + layout.right()) / 2, (layout.top() + layout.bottom()) / 2,
                  "no values to show");
  }
  return fmt::format(
             "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
             "height=\"{1}\" aria-label=\"{2}\" data-format=\"{3}\" "
             "data-x-name=\"{7}\"{4}{5}><desc>{6}</desc>\n",
             chart.width, chart.height, EscapeMarkup(chart.title),
             chart.y_format == NumberFormat::kPercent ? "percent" : "plain",
             ScaleAttribute("x", layout.x), ScaleAttribute("y", layout.y),
             EscapeMarkup(DescribeChart(chart)), EscapeMarkup(chart.x_name)) +
         Axes(chart, layout) + "\n" + VerticalLines(chart, layout) + "\n" + curves +
         EndLabels(chart, layout) + "</svg>\n";
}

std::string RenderSwatch(const Series& series, bool with_marker) {
  const int width = IsMarkers(series) ? 14 : 34;
  std::string shapes;
  if (!IsMarkers(series)) shapes += PathElement(CurveClass(series), "", "M2 7H32");
  if (with_marker) {
    shapes += PathElement(MarkerClass(series), "", MarkerPath(series.pattern, width / 2.0, 7));
  }
  return fmt::format(
      "<svg class=\"swatch\" aria-hidden=\"true\" viewBox=\"0 0 {0} 14\" width=\"{0}\" "
      "height=\"14\">{1}</svg>",
      width, shapes);
}

}  // namespace stocha
