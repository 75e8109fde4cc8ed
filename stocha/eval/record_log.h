// What an evaluation has finished, example by example, so that a run that is cut goes on where it
// was: JSON lines, the first of which says what is evaluated and how.
//
//   {"stocha_eval": 1, "model": "sha256 ...", "tasks": [{"kind": "choice", ...}], ...}
//   {"task": 0, "example": 17, "result": {...}}
//
// Lines are appended and reach the disk every few seconds. A line that a kill cut short is dropped
// when the file is opened again.
#ifndef STOCHA_EVAL_RECORD_LOG_H_
#define STOCHA_EVAL_RECORD_LOG_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/base/json.h"

namespace stocha {

class RecordLog {
 public:
  // In memory alone.
  RecordLog() = default;
  // Opens `path`, or makes it with `header` as its first line. Throws Error, with the file as it
  // was, when it holds anything else than records of this very header, or another process has it.
  RecordLog(const std::filesystem::path& path, const nlohmann::ordered_json& header);
  ~RecordLog();
  RecordLog(const RecordLog&) = delete;
  RecordLog& operator=(const RecordLog&) = delete;

  // The result of an example, null while there is none.
  const Json* Find(int64_t task, int64_t example) const;
  // Throws Error when it cannot be written, e.g. on a full disk.
  void Add(int64_t task, int64_t example, Json result);
  void Flush();

 private:
  // Reads what the file holds; returns the bytes of its whole lines, 0 for a new file.
  uint64_t Read(const std::string& header);
  void Write(std::string_view text);

  std::filesystem::path path_;
  int fd_ = -1;
  std::string gathered_;  // lines not yet written
  std::chrono::steady_clock::time_point last_flush_;
  std::map<std::pair<int64_t, int64_t>, Json> results_;
};

}  // namespace stocha

#endif  // STOCHA_EVAL_RECORD_LOG_H_
