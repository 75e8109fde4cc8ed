#include "stocha/report/chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "stocha/report/axis.h"
#include "stocha/report/heat_map.h"
#include "stocha/report/well_formed.h"

namespace stocha {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Chart OneCurve(std::vector<Point> points) {
  return {.title = "t",
          .series = {{.label = "curve", .colour = "r0", .points = std::move(points)}}};
}

// The path of the first curve.
std::string PathOf(const std::string& svg) {
  const size_t at = svg.find("d=\"", svg.find("data-label"));
  return svg.substr(at + 3, svg.find('"', at + 3) - at - 3);
}

TEST(AxisTest, TicksAreRoundAndInside) {
  EXPECT_EQ(Ticks({.lo = 0, .hi = 10}, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(Ticks({.lo = 0, .hi = 1}, 10, /*whole=*/true), (std::vector<double>{0, 1}));
  EXPECT_EQ(Ticks({.lo = 1, .hi = 100, .logarithmic = true}, 5),
            (std::vector<double>{1, 2, 5, 10, 20, 50, 100}));
  const std::vector<double> decades = Ticks({.lo = 1e-12, .hi = 1e12, .logarithmic = true}, 6);
  EXPECT_GE(decades.size(), 4u);
  EXPECT_LE(decades.size(), 8u);
}

TEST(AxisTest, FitsWhatItCanShow) {
  const std::vector<double> values = {1, 3, kNaN, kInfinity, 1e300};
  const Axis axis = FitAxis(values, {}, false);
  EXPECT_LT(axis.lo, 1);
  EXPECT_GT(axis.lo, 0.8);
  EXPECT_GT(axis.hi, 3);
  EXPECT_FALSE(axis.CanShow(1e300));
  const std::vector<double> bounds = {0};
  EXPECT_EQ(FitAxis(values, bounds, false).lo, 0);
  EXPECT_FALSE(FitAxis(values, {}, true).CanShow(0));
}

TEST(AxisTest, AFlatCurveGetsRoom) {
  for (const double value : {0.0, 5.0, -3.0, 1e29, 1e-29}) {
    const std::vector<double> values = {value, value};
    const Axis axis = FitAxis(values, {}, false);
    EXPECT_LT(axis.lo, value);
    EXPECT_GT(axis.hi, value);
    EXPECT_FALSE(Ticks(axis, 5).empty());
  }
}

TEST(ChartTest, PlacesPointsOnBothScales) {
  Axis linear{.lo = 0, .hi = 10, .from = 100, .to = 0};
  EXPECT_EQ(linear.Pixel(5), 50);
  Axis logarithmic{.lo = 1, .hi = 100, .from = 100, .to = 0, .logarithmic = true};
  EXPECT_NEAR(logarithmic.Pixel(10), 50, 1e-9);
}

TEST(ChartTest, AGapBreaksTheCurve) {
  const std::string svg =
      RenderChart(OneCurve({{0, 1}, {1, 2}, {2, kNaN}, {3, 1}, {4, kInfinity}, {5, 2}, {6, 3}}));
  EXPECT_EQ(WhatIsMalformed(svg), "");
  const std::string path = PathOf(svg);
  EXPECT_EQ(CountOf(path, "M"), 3) << path;  // 0-1, 3 alone, 5-6
  EXPECT_EQ(CountOf(path, "L"), 3) << path;
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(ChartTest, OnePointIsADot) {
  EXPECT_NE(RenderChart(OneCurve({{0, 1}})).find("class=\"curve r0 d0 dot\""), std::string::npos);
}

TEST(ChartTest, SaysWhenThereIsNothingToShow) {
  EXPECT_NE(RenderChart(OneCurve({{0, kNaN}})).find("no values to show"), std::string::npos);
  EXPECT_NE(RenderChart({.title = "t"}).find("no values to show"), std::string::npos);
}

TEST(ChartTest, SurvivesHugeValues) {
  for (const bool log_y : {false, true}) {
    Chart chart = OneCurve({{0, 1e308}, {1, -1e308}, {2, 1e30}, {3, 1e-300}, {1e15, 4}});
    chart.log_y = log_y;
    EXPECT_EQ(WhatIsMalformed(RenderChart(chart)), "");
  }
}

TEST(ChartTest, MarksASwitchWithItsLabel) {
  Chart chart = OneCurve({{0, 1}, {100, 2}});
  chart.lines = {{.x = 95, .label = "stocha:0.7 → relu", .colour = "r0"}, {.x = 50}};
  const std::string svg = RenderChart(chart);
  EXPECT_EQ(CountOf(svg, "class=\"switch"), 2);
  EXPECT_NE(svg.find(">stocha:0.7 → relu</text>"), std::string::npos);
  EXPECT_NE(DescribeChart(chart).find("stocha:0.7 → relu at step 95"), std::string::npos);
}

TEST(ChartTest, EscapesEveryText) {
  const std::string nasty = "<b>\"x\"&'\x01\xff";
  Chart chart = OneCurve({{0, 1}, {1, 2}});
  chart.title = nasty;
  chart.series[0].label = nasty;
  chart.series[0].end_label = nasty;
  chart.lines = {{.x = 1, .label = nasty}};
  for (const std::string& markup : {RenderChart(chart), RenderChartTable(chart)}) {
    EXPECT_EQ(WhatIsMalformed(markup), "");
    EXPECT_EQ(markup.find("<b>"), std::string::npos);
    EXPECT_NE(markup.find("&lt;b&gt;&quot;x&quot;&amp;&#39;\uFFFD\uFFFD"), std::string::npos);
  }
}

TEST(ChartTest, EndLabelsDoNotOverlap) {
  Chart chart{.title = "t"};
  for (int i = 0; i < 6; ++i) {
    chart.series.push_back(
        {.label = "s", .colour = "r0", .end_label = "name", .points = {{0, 1}, {1, 2}}});
  }
  const std::string svg = RenderChart(chart);
  std::vector<double> heights;
  for (size_t at = svg.find(">name<"); at != std::string::npos; at = svg.find(">name<", at + 1)) {
    heights.push_back(std::stod(svg.substr(svg.rfind("y=\"", at) + 3)));
  }
  ASSERT_EQ(heights.size(), 6u);
  for (size_t i = 1; i < heights.size(); ++i) EXPECT_GE(heights[i] - heights[i - 1], 14);
}

TEST(ChartTest, TableHasEveryCurveButTheFaint) {
  Chart chart = OneCurve({{0, 1}, {10, 2}, {20, kNaN}});
  chart.series.push_back({.label = "noise", .ink = Ink::kFaint, .points = {{0, 7}}});
  const std::string table = RenderChartTable(chart, 3);
  EXPECT_EQ(WhatIsMalformed(table), "");
  EXPECT_EQ(table.find("noise"), std::string::npos);
  EXPECT_NE(table.find("<th scope=\"row\">10</th><td>2</td>"), std::string::npos) << table;
  EXPECT_NE(table.find("<td>not finite</td>"), std::string::npos) << table;
}

TEST(HeatMapTest, DrawsCellsAndLeavesGapsBlank) {
  const HeatMap map{.title = "t",
                    .x_end = 2,
                    .x_edges = {0, 1, 2},
                    .columns = {{0.1, 0.9}, {kNaN, 0.9}},
                    .marked_x = {1}};
  const std::string svg = RenderHeatMap(map);
  EXPECT_EQ(WhatIsMalformed(svg), "");
  EXPECT_NE(svg.find("#00224e"), std::string::npos);  // the lowest
  EXPECT_NE(svg.find("#fee838"), std::string::npos);  // the highest
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(HeatMapTest, OneValueEverywhereHasAScale) {
  for (const double value : {0.0, 0.5, 1.0}) {
    const HeatMap map{.title = "t", .x_edges = {0, 1}, .columns = {{value}}};
    const std::string svg = RenderHeatMap(map);
    EXPECT_EQ(WhatIsMalformed(svg), "");
    EXPECT_EQ(svg.find("nan"), std::string::npos);
  }
}

TEST(MarkupTest, FormatsNumbers) {
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(3e-5), "3e-5");
  EXPECT_EQ(FormatNumber(1.25e-10), "1.25e-10");
  EXPECT_EQ(FormatNumber(0.125), "0.125");
  EXPECT_EQ(FormatNumber(1.31249), "1.312");
  EXPECT_EQ(FormatNumber(999.96), "1,000");
  EXPECT_EQ(FormatNumber(1250), "1,250");
  EXPECT_EQ(FormatNumber(-12'500), "-12.5k");
  EXPECT_EQ(FormatNumber(1e20), "1e+20");
  EXPECT_EQ(FormatNumber(kNaN), "not finite");
  EXPECT_EQ(FormatNumber(0.9054, NumberFormat::kPercent), "90.5%");
  EXPECT_EQ(FormatNumber(0.9995, NumberFormat::kPercent), "99.95%");
  EXPECT_EQ(FormatWhole(0), "0");
  EXPECT_EQ(FormatWhole(-1234), "-1,234");
  EXPECT_EQ(FormatWhole(123), "123");
  EXPECT_EQ(FormatWhole(1'234'567), "1,234,567");
  EXPECT_EQ(FormatLoss(1.5), "1.500");
  EXPECT_EQ(FormatLoss(2e9), "2G");
}

TEST(MarkupTest, ShortensInTheMiddleByCharacters) {
  EXPECT_EQ(Shorten("short", 5), "short");
  EXPECT_EQ(Shorten("a-long-name", 5), "a-…me");
  EXPECT_EQ(CharacterCount(Shorten("ääääääääää", 6)), 6u);
}

}  // namespace
}  // namespace stocha
