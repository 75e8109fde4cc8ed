// RUN/metrics.jsonl while a run appends to it.
#ifndef STOCHA_TRAIN_METRICS_LOG_H_
#define STOCHA_TRAIN_METRICS_LOG_H_

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace stocha {

class MetricsLog {
 public:
  // Drops what steps from `step` on wrote before (TruncateMetrics), then opens for appending.
  MetricsLog(std::filesystem::path file, int64_t step);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  // One line, without its end. A reader sees it at once. Throws Error, e.g. on a full disk.
  void Append(std::string_view line);
  // Flushes to the disk: before a checkpoint that relies on what was appended.
  void Sync();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_METRICS_LOG_H_
