#include "stocha/bench/bandwidth.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(BandwidthTest, TakesFourGibibytesOrHalfOfWhatThereIs) {
  EXPECT_EQ(BandwidthBufferBytes(64 * 1024 * kMiB), 4096 * kMiB);
  EXPECT_EQ(BandwidthBufferBytes(1024 * kMiB), 512 * kMiB);
  EXPECT_EQ(BandwidthBufferBytes(0), 16 * kMiB);
}

// Whatever the machine: more than a floppy disk, less than any memory there is.
TEST(BandwidthTest, IsThatOfAMemory) {
  ThreadPool pool(2);
  const double bandwidth = BandwidthProbe(40 * kMiB + 64, pool).Best();
  EXPECT_GT(bandwidth, 1e7);
  EXPECT_LT(bandwidth, 1e14);
}

TEST(BandwidthTest, EndsWhenCancelled) {
  ThreadPool pool(1);
  EXPECT_EQ(BandwidthProbe(kMiB, pool).Best([] { return true; }), 0);
}

}  // namespace
}  // namespace stocha
