#include "stocha/report/series.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stocha {
namespace {

constexpr size_t kSmoothPoints = 1000;  // of a smoothed curve: more than a screen has pixels for it
constexpr double kSmoothWindow = 0.02;  // of all points
constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

bool IsGap(const Point& point) { return !std::isfinite(point.y); }

// Mean x, and mean y of those that are no gap. `bin` is not empty. Divides first: y may be huge.
Point MeanOf(std::span<const Point> bin) {
  const auto valid = static_cast<double>(bin.size() - std::ranges::count_if(bin, IsGap));
  Point mean{0, valid > 0 ? 0 : kGap};
  for (const Point& point : bin) {
    mean.x += point.x / static_cast<double>(bin.size());
    if (!IsGap(point)) mean.y += point.y / valid;
  }
  return mean;
}

// Calls `visit` with each of at most `count` bins of nearly equal size.
template <typename Visit>
void ForEachBin(std::span<const Point> points, size_t count, const Visit& visit) {
  const size_t bins = std::min(std::max<size_t>(count, 1), points.size());
  for (size_t bin = 0; bin < bins; ++bin) {
    const size_t begin = bin * points.size() / bins;
    const size_t end = (bin + 1) * points.size() / bins;
    visit(points.subspan(begin, end - begin));
  }
}

}  // namespace

std::vector<Point> ThinMinMax(std::span<const Point> points, size_t max_points) {
  if (points.size() <= max_points) return {points.begin(), points.end()};
  std::vector<Point> thinned;
  ForEachBin(points, max_points / 3, [&thinned](std::span<const Point> bin) {
    const Point* lowest = nullptr;
    const Point* highest = nullptr;
    const Point* gap = nullptr;
    for (const Point& point : bin) {
      if (IsGap(point)) {
        gap = &point;
        continue;
      }
      if (lowest == nullptr || point.y < lowest->y) lowest = &point;
      if (highest == nullptr || point.y > highest->y) highest = &point;
    }
    std::vector<const Point*> kept = {lowest, highest, gap};
    std::erase(kept, nullptr);
    std::ranges::sort(kept);  // back in the order of x
    const auto repeated = std::ranges::unique(kept);
    kept.erase(repeated.begin(), repeated.end());
    for (const Point* point : kept) thinned.push_back(*point);
  });
  return thinned;
}

std::vector<Point> BinMeans(std::span<const Point> points, size_t max_points) {
  std::vector<Point> means;
  ForEachBin(points, max_points,
             [&means](std::span<const Point> bin) { means.push_back(MeanOf(bin)); });
  return means;
}

std::vector<Point> Smooth(std::span<const Point> points, std::span<const double> breaks) {
  const size_t bin_size = points.size() / kSmoothPoints + 1;
  const auto half_window = static_cast<size_t>(std::lround(
      kSmoothWindow / 2 * static_cast<double>(points.size()) / static_cast<double>(bin_size)));
  std::vector<double> edges(breaks.begin(), breaks.end());
  edges.push_back(std::numeric_limits<double>::infinity());
  std::ranges::sort(edges);

  std::vector<Point> smooth;
  auto begin = points.begin();
  for (const double edge : edges) {
    const auto end = std::ranges::lower_bound(begin, points.end(), edge, {}, &Point::x);
    const std::span<const Point> phase(begin, end);
    begin = end;
    std::vector<Point> bins;  // of one size, so that the mean of their means is the mean
    for (size_t i = 0; i < phase.size(); i += bin_size) {
      bins.push_back(MeanOf(phase.subspan(i, std::min(bin_size, phase.size() - i))));
    }
    for (size_t i = 0; i < bins.size(); ++i) {
      // Symmetric at the start of a phase, where a one-sided mean would bend a steep curve; cut off
      // at its end, where the curve is flat and noise matters more.
      const size_t before = std::min(half_window, i);
      const size_t after = std::min(before, bins.size() - 1 - i);
      const Point mean = MeanOf(std::span(bins).subspan(i - before, before + 1 + after));
      smooth.push_back({bins[i].x, IsGap(bins[i]) ? kGap : mean.y});
    }
  }
  return smooth;
}

std::vector<Point> PickEvenly(std::span<const Point> points, size_t count) {
  if (points.size() <= count) return {points.begin(), points.end()};
  std::vector<Point> few;
  few.reserve(count);
  for (size_t i = 0; i < count; ++i) {  // the first and the last among them
    few.push_back(points[i * (points.size() - 1) / (count - 1)]);
  }
  return few;
}

std::span<const Point> Between(std::span<const Point> points, double lo, double hi) {
  const auto begin = std::ranges::lower_bound(points, lo, {}, &Point::x);
  const auto end = std::ranges::upper_bound(begin, points.end(), hi, {}, &Point::x);
  return {begin, end};
}

}  // namespace stocha
