#include "stocha/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

// NAME.tmp-PID and NAME.old-PID, as AtomicFile and AtomicDirectory name them.
bool IsTemporary(const std::string& name) {
  for (const char* mark : {".tmp-", ".old-"}) {
    const size_t at = name.rfind(mark);
    if (at == std::string::npos) continue;
    const std::string pid = name.substr(at + 5);
    if (!pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos) return true;
  }
  return false;
}

void RemoveTemporaries(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> stale;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (IsTemporary(entry.path().filename().string())) stale.push_back(entry.path());
  }
  for (const fs::path& path : stale) fs::remove_all(path, ignored);
}

}  // namespace

RunFolder::RunFolder(fs::path path, bool resume) : path_(std::move(path)) {
  std::error_code error;
  if (!fs::exists(path_, error)) return;
  if (!fs::is_directory(path_, error)) {
    throw Error({.where = path_.string(), .what = "not a folder that a run can be kept in"});
  }
  lock_.Take(path_);
  const bool blank = std::ranges::all_of(fs::directory_iterator(path_), [](const auto& entry) {
    return IsTemporary(entry.path().filename().string());
  });
  if (!blank && !resume) {
    throw Error({.where = path_.string(),
                 .what = "the folder is not empty",
                 .hint = "continue its run with --resume, or choose another with --output"});
  }
  if (!blank && !fs::exists(recipe(), error)) {
    throw Error({.where = path_.string(),
                 .what = "no run to resume: the folder holds no recipe.toml",
                 .hint = "check --output"});
  }
  RemoveTemporaries(path_);
  RemoveTemporaries(checkpoints());
}

void RunFolder::Create(std::string_view recipe_toml) {
  MakeDirectories(path_);
  lock_.Take(path_);
  WriteFile(recipe(), recipe_toml);
  MakeDirectories(checkpoints());
}

RunFolder::Lock::~Lock() {
  if (fd_ >= 0) close(fd_);
}

void RunFolder::Lock::Take(const fs::path& folder) {
  if (fd_ >= 0) return;
  fd_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // A file system without locks is no reason not to train.
  if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  throw Error({.where = folder.string(),
               .what = "another process is training in this folder",
               .hint = "wait for it, or choose another with --output"});
}

}  // namespace stocha
