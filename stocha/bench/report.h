// What `stocha bench` tells: for people, and as JSON for scripts.
#ifndef STOCHA_BENCH_REPORT_H_
#define STOCHA_BENCH_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stocha/bench/machine.h"
#include "stocha/bench/measure.h"

namespace stocha {

struct BenchReport {
  std::string model;  // path or shape
  std::string type;   // of its weights
  bool random_weights = false;
  int threads = 0;
  Machine machine;
  double read_bandwidth = 0;           // bytes a second
  int64_t bandwidth_buffer_bytes = 0;  // 0: the user's word
  MeasureOptions options;
  std::vector<ModeFigures> modes;
};

// How much faster than dense, and how much faster the bytes that are not read explain.
struct Gain {
  double ratio = 0;    // median of the rounds' ratios
  double ceiling = 0;  // bytes of dense / bytes of the mode
  // Above the ceiling by more than measuring explains: dense is slower than it need be, or the mode
  // reads from a cache what dense reads from memory.
  bool cache_effect() const { return ratio > 1.02 * ceiling; }
};

// Nothing for dense itself, and where it was not measured.
std::optional<Gain> DecodeGain(const BenchReport& report, const ModeFigures& mode);
std::optional<Gain> FfnGain(const BenchReport& report, const ModeFigures& mode);

// Of the read bandwidth around it, that decoding in this mode reaches: the median of the rounds.
double ShareOfBandwidth(const ModeFigures& mode);

// Of the neurons that fire, those that the mode finds, on the inputs of the FFN-only walk: 1 but
// for screened, and for screened too where no other mode was measured.
double FiringFound(const BenchReport& report, const ModeFigures& mode);

// Exact, or else dense, or else the first one. Dense of a shape is another file, whose thresholds
// differ a little, so that it is no measure of the neurons that fire in the sparse modes.
const ModeFigures& WholeMode(const BenchReport& report);
// The fraction of neurons that fired in its decoding.
double ActiveFraction(const BenchReport& report);

std::string ReportText(const BenchReport& report);
std::string ReportJson(const BenchReport& report);

}  // namespace stocha

#endif  // STOCHA_BENCH_REPORT_H_
