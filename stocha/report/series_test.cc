#include "stocha/report/series.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace stocha {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<Point> Ramp(int count) {
  std::vector<Point> points;
  points.reserve(count);
  for (int i = 0; i < count; ++i)
    points.push_back({static_cast<double>(i), static_cast<double>(i)});
  return points;
}

bool HasPoint(const std::vector<Point>& points, double x, double y) {
  return std::ranges::any_of(points, [&](const Point& p) { return p.x == x && p.y == y; });
}

TEST(SeriesTest, ThinKeepsFewPointsAsTheyAre) {
  EXPECT_EQ(ThinMinMax(Ramp(10), 10).size(), 10u);
  EXPECT_TRUE(ThinMinMax({}, 10).empty());
}

TEST(SeriesTest, ThinKeepsEveryPeakAndTheOrder) {
  std::vector<Point> points = Ramp(200'000);
  for (Point& point : points) point.y = std::sin(point.x);
  points[77'777].y = 50;
  points[77'778].y = -50;
  const std::vector<Point> thinned = ThinMinMax(points, 2000);
  EXPECT_LE(thinned.size(), 2000u);
  EXPECT_GE(thinned.size(), 1000u);
  EXPECT_TRUE(HasPoint(thinned, 77'777, 50));
  EXPECT_TRUE(HasPoint(thinned, 77'778, -50));
  EXPECT_TRUE(std::ranges::is_sorted(thinned, {}, &Point::x));
}

TEST(SeriesTest, ThinKeepsGaps) {
  std::vector<Point> points = Ramp(30'000);
  points[12'345].y = kNaN;
  const std::vector<Point> thinned = ThinMinMax(points, 300);
  EXPECT_LE(thinned.size(), 300u);
  EXPECT_EQ(std::ranges::count_if(thinned, [](const Point& p) { return std::isnan(p.y); }), 1);
}

TEST(SeriesTest, BinMeansLeaveGapsOut) {
  const std::vector<Point> points = {{0, 1}, {1, kNaN}, {2, kNaN}, {3, kNaN}};
  const std::vector<Point> means = BinMeans(points, 2);
  ASSERT_EQ(means.size(), 2u);
  EXPECT_EQ(means[0].x, 0.5);
  EXPECT_EQ(means[0].y, 1);
  EXPECT_TRUE(std::isnan(means[1].y));
}

TEST(SeriesTest, SmoothLeavesARampAndStopsAtBreaks) {
  std::vector<Point> points = Ramp(5000);
  for (const Point& point : Smooth(points, {})) {
    if (point.x > 4900) break;  // windows are cut off towards the end
    EXPECT_NEAR(point.y, point.x, 1e-6);
  }
  for (Point& point : points) point.y = point.x < 2500 ? 1 : 9;
  const std::vector<double> breaks = {2500};
  for (const Point& point : Smooth(points, breaks)) {
    EXPECT_DOUBLE_EQ(point.y, point.x < 2500 ? 1 : 9) << point.x;
  }
}

TEST(SeriesTest, SmoothTakesNoiseAway) {
  std::vector<Point> points = Ramp(10'000);
  for (Point& point : points) point.y = static_cast<int>(point.x) % 2 == 0 ? 1 : -1;
  const std::vector<Point> smooth = Smooth(points, {});
  EXPECT_LE(smooth.size(), 1000u);
  for (const Point& point : smooth) EXPECT_NEAR(point.y, 0, 0.2);
}

TEST(SeriesTest, SmoothOfOnePointIsThatPoint) {
  const std::vector<Point> one = {{0, 3}};
  const std::vector<Point> smooth = Smooth(one, {});
  ASSERT_EQ(smooth.size(), 1u);
  EXPECT_EQ(smooth[0].y, 3);
}

TEST(SeriesTest, PickEvenlyKeepsBothEnds) {
  const std::vector<Point> few = PickEvenly(Ramp(1000), 7);
  ASSERT_EQ(few.size(), 7u);
  EXPECT_EQ(few.front().x, 0);
  EXPECT_EQ(few.back().x, 999);
}

TEST(SeriesTest, BetweenHasBothBounds) {
  const std::vector<Point> points = Ramp(10);
  const std::span<const Point> part = Between(points, 3, 5);
  ASSERT_EQ(part.size(), 3u);
  EXPECT_EQ(part.front().x, 3);
  EXPECT_TRUE(Between(points, 20, 30).empty());
}

}  // namespace
}  // namespace stocha
