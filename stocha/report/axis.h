// One axis of a chart: from data to pixels, and where its ticks stand.
#ifndef STOCHA_REPORT_AXIS_H_
#define STOCHA_REPORT_AXIS_H_

#include <span>
#include <vector>

namespace stocha {

struct Axis {
  double lo = 0;  // data; lo < hi, and 0 < lo when logarithmic
  double hi = 1;
  double from = 0;  // pixels, at lo
  double to = 1;    // at hi
  bool logarithmic = false;

  // False for values an axis cannot place: not finite, beyond 1e30, or <= 0 when logarithmic.
  bool CanShow(double value) const;
  double Pixel(double value) const;
};

// An axis over every value that it can show; [0, 1] without any. `bounds` are covered too, and are
// hard ends where they are the extremes: elsewhere the range gets a margin of 4 %.
Axis FitAxis(std::span<const double> values, std::span<const double> bounds, bool logarithmic);

// Round values within [lo, hi], about `count` of them, rising. `whole`: integers only.
std::vector<double> Ticks(const Axis& axis, int count, bool whole = false);

}  // namespace stocha

#endif  // STOCHA_REPORT_AXIS_H_
