// Points of a curve, and how 200,000 of them become few enough to draw.
#ifndef STOCHA_REPORT_SERIES_H_
#define STOCHA_REPORT_SERIES_H_

#include <cstddef>
#include <span>
#include <vector>

namespace stocha {

struct Point {
  double x = 0;
  double y = 0;  // not finite: a gap in the curve
};

// At most `max_points` points that keep every peak: each bin of neighbours gives its lowest and its
// highest point, in order, and a gap where it holds one. x rises.
std::vector<Point> ThinMinMax(std::span<const Point> points, size_t max_points);

// At most `max_points` points, each the mean of a bin of neighbours. Gaps do not count; a bin of
// gaps alone is a gap.
std::vector<Point> BinMeans(std::span<const Point> points, size_t max_points);

// The curve within its noise: means over windows of about 2 % of all points, centred, so that it
// does not lag. `breaks` are x values no window reaches across (x >= break starts anew), so that a
// jump stays a jump.
std::vector<Point> Smooth(std::span<const Point> points, std::span<const double> breaks);

// At most `count` (>= 2) of the points, evenly spread, the first and the last among them.
std::vector<Point> PickEvenly(std::span<const Point> points, size_t count);

// The part with lo <= x <= hi. x rises.
std::span<const Point> Between(std::span<const Point> points, double lo, double hi);

}  // namespace stocha

#endif  // STOCHA_REPORT_SERIES_H_
