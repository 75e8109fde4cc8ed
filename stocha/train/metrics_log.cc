#include "stocha/train/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/report/metrics.h"

namespace stocha {
namespace {

[[noreturn]] void Fail(const std::filesystem::path& path, int error_number) {
  throw Error({.where = path.string(),
               .what = "cannot write: " + ErrnoMessage(error_number),
               .hint = "free some space or check the permissions, then continue with --resume"});
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path file, int64_t step) : path_(std::move(file)) {
  TruncateMetrics(path_, step);
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) Fail(path_, errno);
}

MetricsLog::~MetricsLog() {
  if (fd_ >= 0) close(fd_);
}

void MetricsLog::Append(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail(path_, errno);
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

void MetricsLog::Sync() {
  if (fsync(fd_) != 0) Fail(path_, errno);
}

}  // namespace stocha
