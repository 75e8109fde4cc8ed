#include "stocha/base/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <new>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/system_memory.h"

namespace stocha {
namespace {

constexpr size_t kAlignment = 64;

// Of the whole pages that hold the bytes.
void Advise(std::span<const std::byte> mapped, int advice) {
  static const auto kPage = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(mapped.data()) % kPage;
  madvise(const_cast<std::byte*>(mapped.data()) - before, before + mapped.size(), advice);
}

std::string Gigabytes(int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

// A field of /proc/self/status.
int64_t OwnBytes(std::string_view key) {
  std::ifstream file("/proc/self/status");
  const std::string status(std::istreambuf_iterator<char>(file), {});
  return MemInfoBytes(status, key).value_or(0);
}

}  // namespace

int64_t AvailableMemory() { return ReadSystemMemory("/").available; }

int64_t MemoryLimit() { return ReadSystemMemory("/").limit; }

int64_t ResidentBytes() { return OwnBytes("VmRSS"); }

int64_t PeakResidentBytes() { return OwnBytes("VmHWM"); }

void RequireMemory(int64_t bytes, int64_t available, const std::string& where,
                   const std::string& what) {
  if (bytes <= available) return;
  throw Error({.where = where,
               .what = "not enough memory for " + what,
               .got = Gigabytes(available) + " available",
               .expected = "at least " + Gigabytes(bytes),
               .hint = "free some, or use a smaller model or context"});
}

void PreferHugePages(std::span<const std::byte> mapped) { Advise(mapped, MADV_HUGEPAGE); }

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
