// What Linux says of memory: the machine's in /proc/meminfo, and what the cgroups (v1 or v2) of
// this process leave of it.
#ifndef STOCHA_BASE_SYSTEM_MEMORY_H_
#define STOCHA_BASE_SYSTEM_MEMORY_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

// In bytes; INT64_MAX where nothing is known.
struct SystemMemory {
  int64_t limit;      // what the process can have at most, with the page cache of its files
  int64_t available;  // what it may still take, of which the page cache can be taken back
};

// `root` is "/"; tests have a folder with files of their own.
SystemMemory ReadSystemMemory(const std::filesystem::path& root);

// Pure functions of the files' text.

// Of a line "MemTotal:   1024 kB" of /proc/meminfo, or of /proc/self/status. Nothing: no such line.
std::optional<int64_t> MemInfoBytes(std::string_view meminfo, std::string_view key);

// A cgroup that limits memory, below where its hierarchy is mounted.
struct MemoryCgroup {
  bool version1 = false;
  std::string path;  // "/user.slice/a"
};
// The lines of /proc/self/cgroup that may: "0::/PATH" of v2, "N:CONTROLLERS:/PATH" of v1.
std::vector<MemoryCgroup> MemoryCgroups(std::string_view self_cgroup);

// The page cache of files in a memory.stat, with that of the cgroups below.
int64_t PageCacheBytes(std::string_view stat, bool version1);

}  // namespace stocha

#endif  // STOCHA_BASE_SYSTEM_MEMORY_H_
