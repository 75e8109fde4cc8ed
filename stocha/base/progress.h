// A progress line: redrawn in place on a terminal, a plain line now and then otherwise.
// Used by the commands; the library itself never prints.
#ifndef STOCHA_BASE_PROGRESS_H_
#define STOCHA_BASE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace stocha {

class Progress {
 public:
  struct Options {
    std::string label;             // "train"
    std::string unit;              // "tok": the rate is printed as "12.3k tok/s"; empty: none
    uint64_t total = 0;            // in steps; 0: not known
    uint64_t start = 0;            // steps already done before (a resume)
    double plain_interval_s = 10;  // seconds between plain lines when `out` is no terminal
    std::FILE* out = stderr;
  };
  explicit Progress(Options options);
  ~Progress();  // ends the terminal line

  // `done` steps of `total` are finished, `units` units since the start (for the rate); `note` is
  // shown at the end of the line, e.g. "loss 3.21". Cheap to call often: it draws at most 10 times
  // a second. The last step is always drawn.
  void Update(uint64_t done, double units, const std::string& note);

  // Leaves the time since the last Update (or the start) out of rate and ETA: it went to something
  // that comes once, beside the steps.
  void SkipTime();

  // Prints a whole line above the progress line.
  void Print(const std::string& line);

 private:
  void Draw(const std::string& line);

  Options options_;
  bool terminal_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point start_time_;
  std::chrono::steady_clock::time_point last_update_;
  std::chrono::steady_clock::time_point last_draw_;
  bool drawn_ = false;
};

// "1h 02m", "3m 05s", "12s".
std::string FormatDuration(double seconds);
// "1.23k", "45.6M", three significant digits.
std::string FormatCount(double value);

}  // namespace stocha

#endif  // STOCHA_BASE_PROGRESS_H_
