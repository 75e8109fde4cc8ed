#include "stocha/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "stocha/base/error.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void ThrowErrno(const fs::path& path, const std::string& what, int error_number) {
  std::string hint;
  switch (error_number) {
    case ENOENT:
      hint = "check the path";
      break;
    case EACCES:
    case EROFS:
    case EPERM:
      hint = "check the permissions, or choose another place";
      break;
    case ENOSPC:
    case EDQUOT:
      hint = "free some space, or choose another place";
      break;
    default:
      break;
  }
  throw Error(
      {.where = path.string(), .what = what + ": " + ErrnoMessage(error_number), .hint = hint});
}

// An open descriptor and the size of the regular file behind it.
struct OpenedFile {
  int fd;
  uint64_t size;
};

OpenedFile OpenForReading(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) ThrowErrno(path, "cannot open", errno);
  struct stat info;
  const bool known = fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    close(fd);
    throw Error({.where = path.string(),
                 .what = "cannot read",
                 .got = known && S_ISDIR(info.st_mode) ? "a folder" : "something else",
                 .expected = "a file"});
  }
  return {fd, static_cast<uint64_t>(info.st_size)};
}

// fsync of the folder makes the rename itself durable.
void SyncFolder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

// "x/" and "x" name the same thing; a temporary must stand beside it, not in it.
fs::path WithoutTrailingSlash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

fs::path TemporaryName(const fs::path& path) {
  fs::path name = path;
  name += ".tmp-" + std::to_string(getpid());
  return name;
}

}  // namespace

MappedFile MappedFile::Open(const fs::path& path) {
  const OpenedFile file = OpenForReading(path);
  if (file.size == 0) {
    close(file.fd);
    return {};
  }
  void* data = mmap(nullptr, file.size, PROT_READ, MAP_SHARED, file.fd, 0);
  const int error_number = errno;
  close(file.fd);
  if (data == MAP_FAILED) ThrowErrno(path, "cannot map", error_number);
  return {static_cast<const std::byte*>(data), file.size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

std::string ReadFile(const fs::path& path, uint64_t max_bytes) {
  const OpenedFile file = OpenForReading(path);
  if (file.size > max_bytes) {
    close(file.fd);
    throw Error({.where = path.string(),
                 .what = "file too large",
                 .got = std::to_string(file.size) + " bytes",
                 .expected = "at most " + std::to_string(max_bytes)});
  }
  std::string content(file.size, '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = read(file.fd, content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error_number = errno;
      close(file.fd);
      ThrowErrno(path, "cannot read", error_number);
    }
    if (got == 0) break;  // truncated since fstat
    done += static_cast<size_t>(got);
  }
  close(file.fd);
  content.resize(done);
  return content;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(TemporaryName(path_)) {
  // Found out now, not by the rename after all the work.
  if (fs::is_directory(path_)) ThrowErrno(path_, "cannot write", EISDIR);
  fd_ = open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowErrno(path_, "cannot write", errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void AtomicFile::WriteAll(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowErrno(path_, "cannot write", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void AtomicFile::WriteGathered() {
  WriteAll(written_, gathered_);
  written_ += gathered_.size();
  gathered_.clear();
}

void AtomicFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t room = kHugePage - (written_ + gathered_.size()) % kHugePage;
    const auto part = bytes.first(std::min(room, bytes.size()));
    gathered_.insert(gathered_.end(), part.begin(), part.end());
    if (part.size() == room) WriteGathered();
    bytes = bytes.subspan(part.size());
  }
}

void AtomicFile::Write(std::string_view text) { Write(std::as_bytes(std::span(text))); }

void AtomicFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  WriteGathered();
  WriteAll(offset, bytes);
}

void AtomicFile::Commit() {
  WriteGathered();
  if (fsync(fd_) != 0) ThrowErrno(path_, "cannot write", errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) ThrowErrno(path_, "cannot write", errno);
  close(fd_);
  fd_ = -1;
  SyncFolder(path_);
}

AtomicDirectory::AtomicDirectory(const fs::path& path)
    : path_(WithoutTrailingSlash(path)), temporary_(TemporaryName(path_)) {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  if (path_.has_parent_path()) MakeDirectories(path_.parent_path());
  if (mkdir(temporary_.c_str(), 0755) != 0) ThrowErrno(path_, "cannot create the folder", errno);
}

AtomicDirectory::~AtomicDirectory() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicDirectory::Commit() {
  // rename(2) replaces an empty folder only, so an old one steps aside first.
  fs::path old = path_;
  old += ".old-" + std::to_string(getpid());
  const bool had_old = rename(path_.c_str(), old.c_str()) == 0;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error_number = errno;
    if (had_old) rename(old.c_str(), path_.c_str());
    ThrowErrno(path_, "cannot replace the folder", error_number);
  }
  committed_ = true;
  SyncFolder(path_);
  std::error_code ignored;
  if (had_old) fs::remove_all(old, ignored);
}

void WriteFile(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.Write(text);
  file.Commit();
}

void MakeDirectories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) ThrowErrno(path, "cannot create the folder", error.value());
}

}  // namespace stocha
