#include "stocha/report/axis.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stocha {
namespace {

constexpr double kLargest = 1e30;  // far from overflow in every sum and product below
constexpr double kMargin = 0.04;   // of the range

// Multiples of 1, 2 or 5 times a power of ten.
std::vector<double> LinearTicks(double lo, double hi, int count, bool whole) {
  const double rough = (hi - lo) / count;
  const double decade = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * decade;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * decade >= rough * 0.999) step = factor * decade;
  }
  if (whole) step = std::max(1.0, step);
  const double slack = 1e-9 * (hi - lo);  // an end that is itself a tick must not be lost
  const double first = std::ceil((lo - slack) / step);
  std::vector<double> ticks;
  for (int i = 0; i <= 2 * count; ++i) {
    const double tick = (first + i) * step;
    if (tick > hi + slack) break;
    ticks.push_back(tick);
  }
  return ticks;
}

// The given digits times every power of ten, or every n-th power alone when there are many.
std::vector<double> LogTicks(double lo, double hi, int count) {
  const double decades = std::log10(hi / lo);
  const int first = static_cast<int>(std::floor(std::log10(lo)));
  const int last = static_cast<int>(std::ceil(std::log10(hi)));
  std::vector<double> digits = {1};
  if (decades < 1) {
    digits = {1, 1.5, 2, 3, 4, 6, 8};
  } else if (decades < 2.5) {
    digits = {1, 2, 5};
  }
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / count)));
  std::vector<double> ticks;
  for (int exponent = first; exponent <= last; ++exponent) {
    if (exponent % stride != 0) continue;
    for (const double digit : digits) {
      const double tick = digit * std::pow(10, exponent);
      if (tick >= lo * (1 - 1e-9) && tick <= hi * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

}  // namespace

bool Axis::CanShow(double value) const {
  return std::abs(value) <= kLargest && (!logarithmic || value > 1 / kLargest);
}

double Axis::Pixel(double value) const {
  const double share =
      logarithmic ? std::log(value / lo) / std::log(hi / lo) : (value - lo) / (hi - lo);
  return from + share * (to - from);
}

Axis FitAxis(std::span<const double> values, std::span<const double> bounds, bool logarithmic) {
  Axis axis{.logarithmic = logarithmic};
  double lo = std::numeric_limits<double>::infinity();
  double hi = -lo;
  for (const std::span<const double> part : {values, bounds}) {
    for (const double value : part) {
      if (!axis.CanShow(value)) continue;
      lo = std::min(lo, value);
      hi = std::max(hi, value);
    }
  }
  if (lo > hi) return {};
  if (hi - lo <= 1e-9 * std::max(std::abs(lo), std::abs(hi))) {  // flat: some room around it
    const double room = lo == 0 ? 1 : 0.1 * std::abs(lo);
    lo = logarithmic ? lo / 2 : lo - room;
    hi = logarithmic ? hi * 2 : hi + room;
  } else {
    const auto is_bound = [bounds](double value) { return std::ranges::count(bounds, value) > 0; };
    const double margin = logarithmic ? std::pow(hi / lo, kMargin) : kMargin * (hi - lo);
    const bool hard_lo = is_bound(lo);
    const bool hard_hi = is_bound(hi);
    if (!hard_lo) lo = logarithmic ? lo / margin : lo - margin;
    if (!hard_hi) hi = logarithmic ? hi * margin : hi + margin;
  }
  axis.lo = lo;
  axis.hi = hi;
  return axis;
}

std::vector<double> Ticks(const Axis& axis, int count, bool whole) {
  if (axis.logarithmic && axis.hi / axis.lo > 2.5) return LogTicks(axis.lo, axis.hi, count);
  return LinearTicks(axis.lo, axis.hi, count, whole);
}

}  // namespace stocha
