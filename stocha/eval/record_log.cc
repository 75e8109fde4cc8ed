#include "stocha/eval/record_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

constexpr std::chrono::seconds kFlushInterval{5};

[[noreturn]] void ThrowErrno(const std::filesystem::path& path, const char* what) {
  throw Error({.where = path.string(), .what = std::string(what) + ": " + ErrnoMessage(errno)});
}

std::string Dump(const auto& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Throws Error on the first key whose values are not the same.
void CheckHeader(const Json& found, const Json& wanted, const std::string& where) {
  if (found == wanted) return;
  ErrorParts parts = {.where = where,
                      .what = "holds results of another evaluation",
                      .hint = "use the flags it was begun with, or another file"};
  const JsonObject object(found, where);
  for (const auto& [key, value] : wanted.items()) {
    const Json* other = object.Find(key);
    if (other != nullptr && *other == value) continue;
    parts.what += ": key \"" + key + "\"";
    parts.got = other == nullptr ? "nothing" : other->dump();
    parts.expected = value.dump();
    break;
  }
  throw Error(parts);
}

}  // namespace

RecordLog::RecordLog(const std::filesystem::path& path, const nlohmann::ordered_json& header)
    : path_(path) {
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) ThrowErrno(path, "cannot open");
  try {
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) ThrowErrno(path, "in use by another run");
    const std::string line = Dump(header) + "\n";
    const uint64_t whole = Read(line);
    if (ftruncate(fd_, static_cast<off_t>(whole)) != 0) ThrowErrno(path, "cannot write");
    if (whole == 0) Write(line);
  } catch (const std::exception&) {
    close(fd_);
    throw;
  }
  last_flush_ = std::chrono::steady_clock::now();
}

RecordLog::~RecordLog() {
  if (fd_ < 0) return;
  try {
    Flush();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // What is not written is computed again by the next run.
  }
  close(fd_);
}

uint64_t RecordLog::Read(const std::string& header) {
  const std::string text = ReadFile(path_);
  if (header.starts_with(text)) return text == header ? text.size() : 0;
  const size_t first_end = text.find('\n');
  const std::string where = path_.string();
  const Json first = ParseJson(std::string_view(text).substr(0, first_end), where + ":1");
  CheckHeader(first, ParseJson(header, "header"), where);
  if (first_end == std::string::npos) return 0;

  size_t begin = first_end + 1;
  for (int64_t number = 2; true; ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return begin;
    const std::string place = where + ":" + std::to_string(number);
    const Json record = ParseJson(std::string_view(text).substr(begin, end - begin), place);
    const JsonObject object(record, place);
    const std::pair key(object.Integer("task", 0), object.Integer("example", 0));
    results_[key] = object.Object("result").value();
    begin = end + 1;
  }
}

const Json* RecordLog::Find(int64_t task, int64_t example) const {
  const auto found = results_.find({task, example});
  return found == results_.end() ? nullptr : &found->second;
}

void RecordLog::Add(int64_t task, int64_t example, Json result) {
  if (fd_ >= 0) {
    const nlohmann::ordered_json line = {{"task", task}, {"example", example}, {"result", result}};
    gathered_ += Dump(line) + "\n";
  }
  results_[{task, example}] = std::move(result);
  if (fd_ >= 0 && std::chrono::steady_clock::now() - last_flush_ > kFlushInterval) Flush();
}

void RecordLog::Flush() {
  last_flush_ = std::chrono::steady_clock::now();
  if (gathered_.empty()) return;
  const std::string text = std::exchange(gathered_, "");
  Write(text);
}

void RecordLog::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowErrno(path_, "cannot write");
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS) ThrowErrno(path_, "cannot write");
}

}  // namespace stocha
