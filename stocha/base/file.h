// Files: mapped for reading, and written so that a kill at any moment leaves the old one or the
// new.
#ifndef STOCHA_BASE_FILE_H_
#define STOCHA_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

inline constexpr size_t kHugePage = size_t{2} << 20;  // bytes

// A whole file mapped read-only. Movable; unmapped when destroyed. Reading is thread-safe. Another
// process that truncates the file while it is mapped kills the reader with SIGBUS, as mmap does.
class MappedFile {
 public:
  // Throws Error when the file is missing, no regular file, or cannot be mapped. An empty file maps
  // to an empty span.
  static MappedFile Open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole content. Throws Error when the file is missing, unreadable or larger than `max_bytes`.
std::string ReadFile(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 32);

// Writes to a temporary name beside `path`; Commit() flushes it to the disk and renames it. Without
// Commit() the temporary is removed and an old file at `path` stays as it was.
//
// Bytes are gathered into whole huge pages: where the file system can, the page cache then holds
// the file in such pages from the start, and a process that maps it finds them so.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws Error, e.g. on a full disk: now, or later, when the bytes gathered are written.
  void Write(std::span<const std::byte> bytes);
  void Write(std::string_view text);
  // Overwrites bytes already written, e.g. a header whose counts are known only at the end.
  void WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  void Commit();

 private:
  void WriteGathered();
  void WriteAll(uint64_t offset, std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  uint64_t written_ = 0;             // bytes from the start that are in the file
  std::vector<std::byte> gathered_;  // those behind them, less than a huge page
};

// A folder filled under a temporary name beside `path`, and renamed by Commit(). An existing
// directory at `path` is replaced. Files inside must be flushed by their writers (AtomicFile).
class AtomicDirectory {
 public:
  explicit AtomicDirectory(const std::filesystem::path& path);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  void Commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

// AtomicFile in one call.
void WriteFile(const std::filesystem::path& path, std::string_view text);

// mkdir -p. Throws Error when it cannot.
void MakeDirectories(const std::filesystem::path& path);

}  // namespace stocha

#endif  // STOCHA_BASE_FILE_H_
