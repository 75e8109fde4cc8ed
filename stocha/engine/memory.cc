#include "stocha/engine/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
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

std::optional<int64_t> MemAvailable() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return std::nullopt;
}

std::string Gigabytes(int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

int64_t AvailableMemory() {
  int64_t available = MemAvailable().value_or(std::numeric_limits<int64_t>::max());
  const std::optional<int64_t> limit = ReadNumber("/sys/fs/cgroup/memory.max");
  const std::optional<int64_t> used = ReadNumber("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, std::max<int64_t>(*limit - *used, 0));
  return available;
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
