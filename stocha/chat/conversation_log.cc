#include "stocha/chat/conversation_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

constexpr std::chrono::seconds kFlushInterval{5};

// What every line begins with.
constexpr std::string_view kBegin = R"({"text":")";

[[noreturn]] void ThrowErrno(const std::filesystem::path& path, const char* what) {
  throw Error({.where = path.string(), .what = std::string(what) + ": " + ErrnoMessage(errno)});
}

}  // namespace

ConversationLog::ConversationLog(std::filesystem::path path, std::string settings)
    : path_(std::move(path)), settings_(std::move(settings)) {
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) ThrowErrno(path_, "cannot open");
  try {
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) ThrowErrno(path_, "in use by another run");
    if (ftruncate(fd_, static_cast<off_t>(Read())) != 0) ThrowErrno(path_, "cannot write");
  } catch (const std::exception&) {
    close(fd_);
    throw;
  }
  last_flush_ = std::chrono::steady_clock::now();
}

ConversationLog::~ConversationLog() {
  try {
    Flush();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // What is not written is answered again by the next run.
  }
  close(fd_);
}

uint64_t ConversationLog::Read() {
  const std::string text = ReadFile(path_);
  size_t begin = 0;
  for (int64_t number = 1; true; ++number) {
    const size_t end = text.find('\n', begin);
    const std::string place = path_.string() + ":" + std::to_string(number);
    if (end == std::string::npos) {
      const std::string_view rest = std::string_view(text).substr(begin);
      if (rest.starts_with(kBegin) || kBegin.starts_with(rest)) return begin;
      throw Error({.where = place, .what = "not a conversation", .hint = "use another file"});
    }
    const Json json = ParseJson(std::string_view(text).substr(begin, end - begin), place);
    const JsonObject line(json, place);
    if (line.String("settings") != settings_) {
      throw Error({.where = place,
                   .what = "a conversation of another model, other prompts or other flags",
                   .got = line.String("settings"),
                   .expected = settings_,
                   .hint = "use the flags that it was begun with, or another file"});
    }
    lines_[line.Integer("prompt", 0)] = text.substr(begin, end + 1 - begin);
    begin = end + 1;
  }
}

void ConversationLog::Add(int64_t prompt, std::string_view text, std::string_view stop) {
  const nlohmann::ordered_json json = {
      {"text", text}, {"prompt", prompt}, {"stop", stop}, {"settings", settings_}};
  std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  gathered_ += line;
  lines_[prompt] = std::move(line);
  if (std::chrono::steady_clock::now() - last_flush_ > kFlushInterval) Flush();
}

void ConversationLog::Flush() {
  last_flush_ = std::chrono::steady_clock::now();
  if (gathered_.empty()) return;
  const std::string text = std::exchange(gathered_, "");
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowErrno(path_, "cannot write");
    rest.remove_prefix(static_cast<size_t>(written));
  }
  if (fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS) ThrowErrno(path_, "cannot write");
}

void ConversationLog::Finish() {
  Flush();
  AtomicFile file(path_);
  for (const auto& [prompt, line] : lines_) file.Write(std::string_view(line));
  file.Commit();
}

}  // namespace stocha
