#include "stocha/base/system_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

// Where the cgroups of a version are, and what their files are called.
struct Hierarchy {
  const char* mount;
  const char* limit;
  const char* used;
};
constexpr Hierarchy kVersion1 = {.mount = "sys/fs/cgroup/memory",
                                 .limit = "memory.limit_in_bytes",
                                 .used = "memory.usage_in_bytes"};
constexpr Hierarchy kVersion2 = {
    .mount = "sys/fs/cgroup", .limit = "memory.max", .used = "memory.current"};

// Empty where there is no such file.
std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number that the text begins with, blanks aside. Nothing: "max", no number.
std::optional<int64_t> ParseNumber(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || value < 0) return std::nullopt;
  return value;
}

// Takes the first line off the text.
std::string_view NextLine(std::string_view* text) {
  const std::string_view line = text->substr(0, text->find('\n'));
  text->remove_prefix(std::min(line.size() + 1, text->size()));
  return line;
}

// The number behind `key` in the line that begins with it.
std::optional<int64_t> NumberOf(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = NextLine(&text);
    if (line.starts_with(key)) return ParseNumber(line.substr(key.size()));
  }
  return std::nullopt;
}

// Whether "cpu,memory" has memory.
bool HasMemory(std::string_view controllers) {
  constexpr std::string_view kName = "memory";
  while (!controllers.empty()) {
    const std::string_view name = controllers.substr(0, controllers.find(','));
    if (name == kName) return true;
    controllers.remove_prefix(std::min(name.size() + 1, controllers.size()));
  }
  return false;
}

// The least of the cgroup and those that it is in. A path that is not there, as a container sees
// that of its host, leaves those above it.
SystemMemory LeastOf(const fs::path& root, const MemoryCgroup& cgroup) {
  const Hierarchy& names = cgroup.version1 ? kVersion1 : kVersion2;
  SystemMemory least = {.limit = kUnknown, .available = kUnknown};
  for (fs::path path = fs::path(cgroup.path).relative_path();; path = path.parent_path()) {
    const fs::path folder = root / names.mount / path;
    if (const std::optional<int64_t> limit = ParseNumber(ReadText(folder / names.limit))) {
      const int64_t used = ParseNumber(ReadText(folder / names.used)).value_or(0);
      const int64_t cache = PageCacheBytes(ReadText(folder / "memory.stat"), cgroup.version1);
      const int64_t taken = std::max<int64_t>(used - cache, 0);
      least.limit = std::min(least.limit, *limit);
      least.available = std::min(least.available, std::max<int64_t>(*limit - taken, 0));
    }
    if (path.empty()) return least;
  }
}

}  // namespace

SystemMemory ReadSystemMemory(const fs::path& root) {
  const std::string meminfo = ReadText(root / "proc/meminfo");
  SystemMemory memory = {.limit = MemInfoBytes(meminfo, "MemTotal").value_or(kUnknown),
                         .available = MemInfoBytes(meminfo, "MemAvailable").value_or(kUnknown)};
  for (const MemoryCgroup& cgroup : MemoryCgroups(ReadText(root / "proc/self/cgroup"))) {
    const SystemMemory least = LeastOf(root, cgroup);
    memory.limit = std::min(memory.limit, least.limit);
    memory.available = std::min(memory.available, least.available);
  }
  return memory;
}

std::optional<int64_t> MemInfoBytes(std::string_view meminfo, std::string_view key) {
  const std::optional<int64_t> kilobytes = NumberOf(meminfo, std::string(key) + ":");
  if (!kilobytes || *kilobytes > kUnknown / 1024) return std::nullopt;
  return *kilobytes * 1024;
}

std::vector<MemoryCgroup> MemoryCgroups(std::string_view self_cgroup) {
  std::vector<MemoryCgroup> cgroups;
  while (!self_cgroup.empty()) {
    const std::string_view line = NextLine(&self_cgroup);
    const size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !HasMemory(controllers)) continue;
    cgroups.push_back(
        {.version1 = !controllers.empty(), .path = std::string(line.substr(second + 1))});
  }
  return cgroups;
}

int64_t PageCacheBytes(std::string_view stat, bool version1) {
  // Version 1 counts a cgroup alone, too, without the word in front.
  const int64_t inactive =
      NumberOf(stat, version1 ? "total_inactive_file " : "inactive_file ").value_or(0);
  const int64_t active =
      NumberOf(stat, version1 ? "total_active_file " : "active_file ").value_or(0);
  return active > kUnknown - inactive ? kUnknown : inactive + active;
}

}  // namespace stocha
