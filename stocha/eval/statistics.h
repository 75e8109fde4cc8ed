// Means over examples and how far off they may be.
#ifndef STOCHA_EVAL_STATISTICS_H_
#define STOCHA_EVAL_STATISTICS_H_

#include <cmath>
#include <span>

namespace stocha {

struct Mean {
  double mean = 0;
  double standard_error = 0;  // sample standard deviation / sqrt(n); 0 for one value
};

inline Mean MeanOf(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  if (values.empty()) return {};
  Mean result;
  for (const double value : values) result.mean += value;
  result.mean /= n;
  if (values.size() == 1) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_error = std::sqrt(squares / (n - 1) / n);
  return result;
}

}  // namespace stocha

#endif  // STOCHA_EVAL_STATISTICS_H_
