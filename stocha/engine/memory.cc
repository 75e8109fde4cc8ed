#include "stocha/engine/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <optional>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

// The first number of a file, or nothing ("max", no such file).
std::optional<int64_t> ReadNumber(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

std::optional<int64_t> FromMemInfo(std::string_view wanted) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes) {
    if (key == wanted) return kilobytes * 1024;
    std::getline(file, unit);
  }
  return std::nullopt;
}

// Of the memory cgroup at `path` below `mount`, and of those that it is in.
int64_t LeastLimit(const std::filesystem::path& mount, std::filesystem::path path,
                   const char* file) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (path = path.relative_path();; path = path.parent_path()) {
    least = std::min(least, ReadNumber((mount / path / file).c_str()).value_or(least));
    if (path.empty()) return least;
  }
}

// Of the whole pages that hold the bytes.
void Advise(std::span<const std::byte> mapped, int advice) {
  static const auto kPage = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(mapped.data()) % kPage;
  madvise(const_cast<std::byte*>(mapped.data()) - before, before + mapped.size(), advice);
}

std::string Gigabytes(int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

int64_t AvailableMemory() {
  int64_t available = FromMemInfo("MemAvailable:").value_or(std::numeric_limits<int64_t>::max());
  const std::optional<int64_t> limit = ReadNumber("/sys/fs/cgroup/memory.max");
  const std::optional<int64_t> used = ReadNumber("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, std::max<int64_t>(*limit - *used, 0));
  return available;
}

int64_t MemoryLimit() {
  int64_t limit = FromMemInfo("MemTotal:").value_or(std::numeric_limits<int64_t>::max());
  std::ifstream file("/proc/self/cgroup");  // lines "0::/PATH" of v2, "N:CONTROLLERS:/PATH" of v1
  for (std::string line; std::getline(file, line);) {
    const size_t controllers = line.find(':') + 1;
    const size_t path = line.find(':', controllers);
    if (controllers == 0 || path == std::string::npos) continue;
    const std::string names = line.substr(controllers, path - controllers);
    if (names.empty()) {
      limit = std::min(limit, LeastLimit("/sys/fs/cgroup", line.substr(path + 1), "memory.max"));
    } else if (names == "memory") {
      limit = std::min(limit, LeastLimit("/sys/fs/cgroup/memory", line.substr(path + 1),
                                         "memory.limit_in_bytes"));
    }
  }
  return limit;
}

void RequireMemory(int64_t bytes, int64_t available, const std::string& where,
                   const std::string& what) {
  if (bytes <= available) return;
  throw Error({.where = where,
               .what = "not enough memory for " + what,
               .got = Gigabytes(available) + " available",
               .expected = "at least " + Gigabytes(bytes),
               .hint = "free some, or use a smaller model or context"});
}

void ExpectRandomReads(std::span<const std::byte> mapped) { Advise(mapped, MADV_RANDOM); }

void ReadAhead(std::span<const std::byte> mapped) { Advise(mapped, MADV_WILLNEED); }

void PutOut(std::span<const std::byte> mapped) { Advise(mapped, MADV_PAGEOUT); }

void* AllocateAligned(size_t bytes) {
  const size_t alignment = bytes >= 4 * kHugePage ? kHugePage : kAlignment;
  if (bytes > std::numeric_limits<size_t>::max() - alignment) throw std::bad_alloc();
  const size_t rounded = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  // Only advice: without huge pages everything works, a little slower.
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

}  // namespace stocha
