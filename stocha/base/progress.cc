#include "stocha/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace stocha {
namespace {

constexpr double kTerminalInterval = 0.1;  // seconds between two drawings

size_t TerminalColumns(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

Progress::Progress(Options options)
    : options_(std::move(options)),
      terminal_(isatty(fileno(options_.out)) == 1),
      start_time_(std::chrono::steady_clock::now()),
      last_update_(start_time_) {}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', options_.out);
}

void Progress::Update(uint64_t done, double units, const std::string& note) {
  const auto now = std::chrono::steady_clock::now();
  last_update_ = now;
  const double interval = terminal_ ? kTerminalInterval : options_.plain_interval_s;
  const bool last = options_.total != 0 && done >= options_.total;
  const bool due = !drawn_ || std::chrono::duration<double>(now - last_draw_).count() >= interval;
  if (!due && !last) return;
  last_draw_ = now;
  drawn_ = true;

  const double elapsed = std::chrono::duration<double>(now - start_time_).count();
  std::string line = options_.label + " ";
  if (options_.total != 0) {
    const double fraction = std::min(1.0, static_cast<double>(done) / options_.total);
    if (terminal_) {
      constexpr int kCells = 20;
      const int full = static_cast<int>(fraction * kCells);
      line += "[" + std::string(full, '#') + std::string(kCells - full, '.') + "] ";
    }
    line += fmt::format("{}/{} {:.0f}%", done, options_.total, 100 * fraction);
  } else {
    line += std::to_string(done);
  }
  if (elapsed > 0 && !options_.unit.empty()) {
    line += fmt::format("  {} {}/s", FormatCount(units / elapsed), options_.unit);
  }
  if (options_.total > done && done > options_.start) {
    const double per_step = elapsed / static_cast<double>(done - options_.start);
    line += "  ETA " + FormatDuration(per_step * static_cast<double>(options_.total - done));
  }
  if (!note.empty()) line += "  " + note;
  Draw(line);
}

void Progress::SkipTime() {
  const auto now = std::chrono::steady_clock::now();
  start_time_ += now - last_update_;
  last_update_ = now;
}

void Progress::Print(const std::string& line) {
  std::fprintf(options_.out, "%s%s\n", line_open_ ? "\r\033[K" : "", line.c_str());
  line_open_ = false;
  std::fflush(options_.out);
}

void Progress::Draw(const std::string& line) {
  if (terminal_) {
    const size_t columns = TerminalColumns(fileno(options_.out));
    std::fprintf(options_.out, "\r\033[K%s", line.substr(0, columns - 1).c_str());
    line_open_ = true;
  } else {
    std::fprintf(options_.out, "%s\n", line.c_str());
  }
  std::fflush(options_.out);
}

std::string FormatDuration(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (total >= 3600) return fmt::format("{}h {:02}m", total / 3600, total / 60 % 60);
  if (total >= 60) return fmt::format("{}m {:02}s", total / 60, total % 60);
  return fmt::format("{}s", total);
}

std::string FormatCount(double value) {
  static constexpr const char* kSuffixes[] = {"", "k", "M", "G", "T"};
  int suffix = 0;
  while (std::abs(value) >= 999.5 && suffix < 4) {
    value /= 1000;
    ++suffix;
  }
  return fmt::format("{:.3g}{}", value, kSuffixes[suffix]);
}

}  // namespace stocha
