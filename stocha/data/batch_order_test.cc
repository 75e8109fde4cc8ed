#include "stocha/data/batch_order.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "stocha/base/error.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

TEST(PermuteIndex, VisitsEveryIndexOnce) {
  for (uint64_t size = 1; size <= 70; ++size) {
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < size; ++i) seen.insert(PermuteIndex(i, size, 123));
    EXPECT_EQ(seen.size(), size);
    EXPECT_EQ(*seen.rbegin(), size - 1);
  }
  constexpr uint64_t kLarge = 100003;
  std::vector<bool> seen(kLarge);
  for (uint64_t i = 0; i < kLarge; ++i) seen[PermuteIndex(i, kLarge, 5)] = true;
  EXPECT_EQ(std::ranges::count(seen, true), static_cast<int64_t>(kLarge));
}

TEST(PermuteIndex, HoldsHugeSizes) {
  for (const uint64_t size : {uint64_t{1} << 40, (uint64_t{1} << 40) + 1, UINT64_MAX}) {
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < 1000; ++i) {
      const uint64_t low = PermuteIndex(i, size, 9);
      const uint64_t high = PermuteIndex(size - 1 - i, size, 9);
      EXPECT_LT(low, size);
      EXPECT_LT(high, size);
      seen.insert({low, high});
    }
    EXPECT_EQ(seen.size(), 2000u);
  }
}

// Every index lands everywhere about equally often over keys: chi-squared over 10 x 10 cells, of
// which 81 are free; the bound is its mean plus 5 standard deviations.
TEST(PermuteIndex, IsEvenOverKeys) {
  constexpr int kSize = 10;
  constexpr int kKeys = 10000;
  int counts[kSize][kSize] = {};
  for (uint64_t key = 0; key < kKeys; ++key) {
    for (uint64_t i = 0; i < kSize; ++i) ++counts[i][PermuteIndex(i, kSize, key)];
  }
  double chi_squared = 0;
  for (const auto& row : counts) {
    for (const int count : row) {
      const double expected = static_cast<double>(kKeys) / kSize;
      chi_squared += (count - expected) * (count - expected) / expected;
    }
  }
  EXPECT_LT(chi_squared, 81 + 5 * std::sqrt(2 * 81.0));
}

// Training that was begun must go on in the same order after an update of the program. The values
// come from a few lines of Python with the same definition.
TEST(PermuteIndex, NeverChanges) {
  std::vector<uint64_t> order;
  order.reserve(8);
  for (uint64_t i = 0; i < 8; ++i) order.push_back(PermuteIndex(i, 8, 1));
  EXPECT_EQ(order, (std::vector<uint64_t>{0, 4, 2, 3, 1, 6, 7, 5}));
  constexpr uint64_t kHuge = uint64_t{1} << 40;
  EXPECT_EQ(PermuteIndex(0, kHuge, 7), 214887448802u);
  EXPECT_EQ(PermuteIndex(kHuge - 1, kHuge, 7), 664016123136u);
}

class BatchOrderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::path(::testing::TempDir()) / ("order-" + std::to_string(getpid()) + "-" + test->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Shards of these sizes; ids count up through all of them.
  std::vector<TokenShard> Shards(const std::vector<size_t>& sizes) {
    std::vector<TokenShard> shards;
    int32_t next = 0;
    for (const size_t size : sizes) {
      std::vector<int32_t> ids(size);
      std::iota(ids.begin(), ids.end(), next);
      next += static_cast<int32_t>(size);
      const fs::path path = folder_ / std::to_string(shards.size());
      TokenShardWriter writer(path, 70000, {});
      writer.Append(ids, size);
      writer.Commit();
      shards.push_back(TokenShard::Open(path));
    }
    return shards;
  }

  fs::path folder_;
};

std::vector<int32_t> InOrder(const BatchOrder& order, uint64_t window, size_t count) {
  std::vector<int32_t> ids(count);
  order.ReadInOrder(window, ids);
  return ids;
}

// First ids of the windows of one epoch, as drawn.
std::vector<int32_t> Epoch(const BatchOrder& order, uint64_t epoch, size_t count) {
  std::vector<int32_t> firsts;
  std::vector<int32_t> ids(count);
  for (uint64_t i = 0; i < order.num_windows(); ++i) {
    order.ReadShuffled(epoch * order.num_windows() + i, ids);
    for (size_t j = 1; j < count; ++j) EXPECT_EQ(ids[j], ids[0] + static_cast<int32_t>(j));
    firsts.push_back(ids[0]);
  }
  return firsts;
}

TEST_F(BatchOrderTest, CutsShardsIntoWindowsThatOverlapByOne) {
  // Windows of 3 + 1: 10 tokens hold 3, 3 hold none, 4 hold 1, 9 hold 2 (a token is left over).
  const std::vector<TokenShard> shards = Shards({10, 3, 4, 9});
  const BatchOrder order(shards, 3, 1);
  EXPECT_EQ(order.num_windows(), 6u);
  EXPECT_EQ(order.num_tokens(), 18u);
  EXPECT_EQ(InOrder(order, 0, 4), (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(InOrder(order, 2, 4), (std::vector<int32_t>{6, 7, 8, 9}));
  EXPECT_EQ(InOrder(order, 3, 4), (std::vector<int32_t>{13, 14, 15, 16}));
  EXPECT_EQ(InOrder(order, 4, 4), (std::vector<int32_t>{17, 18, 19, 20}));
  EXPECT_EQ(InOrder(order, 5, 4), (std::vector<int32_t>{20, 21, 22, 23}));
  EXPECT_THROW(InOrder(order, 6, 4), Error);
  EXPECT_THROW(InOrder(order, 0, 3), Error);
}

TEST_F(BatchOrderTest, VisitsEveryWindowOnceAnEpoch) {
  const std::vector<TokenShard> shards = Shards({1000, 20, 333});
  const BatchOrder order(shards, 7, 42);
  std::vector<int32_t> in_order;
  in_order.reserve(order.num_windows());
  for (uint64_t i = 0; i < order.num_windows(); ++i) in_order.push_back(InOrder(order, i, 8)[0]);
  std::vector<std::vector<int32_t>> epochs;
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    epochs.push_back(Epoch(order, epoch, 8));
    std::vector<int32_t> sorted = epochs.back();
    std::ranges::sort(sorted);
    EXPECT_EQ(sorted, in_order);
    EXPECT_NE(epochs.back(), in_order);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_NE(Epoch(BatchOrder(shards, 7, 43), 0, 8), epochs[0]);
  EXPECT_EQ(Epoch(BatchOrder(shards, 7, 42), 1, 8), epochs[1]);
}

TEST_F(BatchOrderTest, ASingleWindowIsDrawnAgainAndAgain) {
  const std::vector<TokenShard> shards = Shards({5});
  const BatchOrder order(shards, 4, 1);
  EXPECT_EQ(order.num_windows(), 1u);
  EXPECT_EQ(Epoch(order, 0, 5), std::vector<int32_t>{0});
  EXPECT_EQ(Epoch(order, uint64_t{1} << 50, 5), std::vector<int32_t>{0});
}

TEST_F(BatchOrderTest, RefusesShardsShorterThanASequence) {
  const std::vector<TokenShard> shards = Shards({4, 2});
  EXPECT_THROW(BatchOrder(shards, 4, 1), Error);
}

}  // namespace
}  // namespace stocha
