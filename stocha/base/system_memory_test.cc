#include "stocha/base/system_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

// A root folder with the files that a test writes.
class SystemMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(::testing::TempDir()) /
            ("stocha_" + std::string(info->name()) + std::to_string(getpid()));
    Write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 800 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  SystemMemory Read() const { return ReadSystemMemory(root_); }

  fs::path root_;
};

TEST_F(SystemMemoryTest, WithoutCgroupsItIsTheMachines) {
  EXPECT_EQ(Read().limit, 1000 * 1024);
  EXPECT_EQ(Read().available, 800 * 1024);
}

TEST_F(SystemMemoryTest, NothingReadableIsNothingKnown) {
  fs::remove_all(root_);
  EXPECT_EQ(Read().limit, kUnknown);
  EXPECT_EQ(Read().available, kUnknown);
}

TEST_F(SystemMemoryTest, TheOwnCgroupOfVersion2CountsAndPageCacheIsFree) {
  Write("proc/self/cgroup", "0::/user.slice/job\n");
  Write("sys/fs/cgroup/user.slice/job/memory.max", "500000\n");
  Write("sys/fs/cgroup/user.slice/job/memory.current", "400000\n");
  Write("sys/fs/cgroup/user.slice/job/memory.stat",
        "anon 100000\nfile 300000\ninactive_anon 1\nactive_anon 1\ninactive_file 200000\n"
        "active_file 50000\n");
  EXPECT_EQ(Read().limit, 500000);
  EXPECT_EQ(Read().available, 500000 - (400000 - 250000));
}

TEST_F(SystemMemoryTest, TheLeastOfTheCgroupsAboveCounts) {
  Write("proc/self/cgroup", "0::/a/b\n");
  Write("sys/fs/cgroup/a/b/memory.max", "max\n");
  Write("sys/fs/cgroup/a/b/memory.current", "1000\n");
  Write("sys/fs/cgroup/a/memory.max", "300000\n");
  Write("sys/fs/cgroup/a/memory.current", "299000\n");
  Write("sys/fs/cgroup/memory.max", "400000\n");
  Write("sys/fs/cgroup/memory.current", "399900\n");
  EXPECT_EQ(Read().limit, 300000);
  EXPECT_EQ(Read().available, 100);
}

TEST_F(SystemMemoryTest, AContainersPathThatIsNotThereLeavesTheRoot) {
  Write("proc/self/cgroup", "0::/../docker/0123\n");
  Write("sys/fs/cgroup/memory.max", "400000\n");
  Write("sys/fs/cgroup/memory.current", "100000\n");
  EXPECT_EQ(Read().limit, 400000);
  EXPECT_EQ(Read().available, 300000);
}

TEST_F(SystemMemoryTest, TheMemoryControllerOfVersion1Counts) {
  Write("proc/self/cgroup", "5:cpu:/c\n4:hugetlb,memory:/m\n1:name=systemd:/\n0::/\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "600000\n");
  Write("sys/fs/cgroup/memory/m/memory.usage_in_bytes", "550000\n");
  Write("sys/fs/cgroup/memory/m/memory.stat",
        "inactive_file 1\nactive_file 2\ntotal_inactive_file 30000\ntotal_active_file 40000\n");
  EXPECT_EQ(Read().limit, 600000);
  EXPECT_EQ(Read().available, 600000 - (550000 - 70000));
}

TEST_F(SystemMemoryTest, TheMachineHasNoMoreThanItHas) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "900000000\n");
  Write("sys/fs/cgroup/memory.current", "1\n");
  EXPECT_EQ(Read().limit, 1000 * 1024);
  EXPECT_EQ(Read().available, 800 * 1024);
}

TEST_F(SystemMemoryTest, MoreUsedThanAllowedLeavesNothing) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "1000\n");
  Write("sys/fs/cgroup/memory.current", "5000\n");
  EXPECT_EQ(Read().available, 0);
}

TEST(SystemMemoryTextTest, MemInfo) {
  constexpr const char* kText =
      "MemTotal:       24 kB\nVmRSS:\t    96 kB\nSwapTotal:  1 kB\nBroken: kB\nMinus: -5 kB\n"
      "Huge: 9223372036854775807 kB\nLast: 7 kB";
  EXPECT_EQ(MemInfoBytes(kText, "MemTotal"), 24 * 1024);
  EXPECT_EQ(MemInfoBytes(kText, "VmRSS"), 96 * 1024);
  EXPECT_EQ(MemInfoBytes(kText, "Last"), 7 * 1024);
  for (const char* key : {"Mem", "Total", "Broken", "Minus", "Huge", "None"}) {
    EXPECT_EQ(MemInfoBytes(kText, key), std::nullopt) << key;
  }
}

TEST(SystemMemoryTextTest, CgroupsOfAProcess) {
  const auto cgroups = MemoryCgroups("2:cpu,cpuacct:/x\n\nnonsense\n3:memory:/a:b\n0::/c");
  ASSERT_EQ(cgroups.size(), 2U);
  EXPECT_TRUE(cgroups[0].version1);
  EXPECT_EQ(cgroups[0].path, "/a:b");
  EXPECT_FALSE(cgroups[1].version1);
  EXPECT_EQ(cgroups[1].path, "/c");
  EXPECT_TRUE(MemoryCgroups("").empty());
  EXPECT_TRUE(MemoryCgroups("3:memory_like:/a\n4:memory").empty());
}

TEST(SystemMemoryTextTest, PageCache) {
  constexpr const char* kText = "inactive_file 3\nactive_file 4\ntotal_inactive_file 10\n";
  EXPECT_EQ(PageCacheBytes(kText, /*version1=*/false), 7);
  EXPECT_EQ(PageCacheBytes(kText, /*version1=*/true), 10);
  EXPECT_EQ(PageCacheBytes("", /*version1=*/false), 0);
}

}  // namespace
}  // namespace stocha
