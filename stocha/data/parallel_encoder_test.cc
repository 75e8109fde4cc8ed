#include "stocha/data/parallel_encoder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace stocha {
namespace {

// Stands for a tokenizer: the bytes as ids, with a pause that lets other threads overtake.
std::vector<int32_t> Bytes(const std::string& text, const std::string&) {
  if (text.size() % 3 == 0) std::this_thread::yield();
  return {text.begin(), text.end()};
}

TEST(ParallelEncoder, KeepsTheOrder) {
  for (const int threads : {1, 4}) {
    std::vector<std::string> got;
    ParallelEncoder encoder(threads, Bytes, [&](std::span<const int32_t> ids, uint64_t bytes) {
      got.emplace_back(ids.begin(), ids.end());
      EXPECT_EQ(bytes, ids.size());
    });
    std::vector<std::string> expected;
    for (int i = 0; i < 6000; ++i) {  // many batches
      expected.push_back(std::to_string(i * i) + std::string(i % 200 == 0 ? 100000 : 30, 'x'));
      encoder.Add(expected.back(), "document");
    }
    encoder.Finish();
    EXPECT_EQ(got, expected);
    encoder.Finish();  // nothing more to do
    EXPECT_EQ(got.size(), 6000u);
  }
}

TEST(ParallelEncoder, BoundsWhatIsOnItsWay) {
  std::atomic<int> added{0};
  std::atomic<int> done{0};
  std::atomic<int> most{0};
  ParallelEncoder encoder(
      2, [&](const std::string&, const std::string&) { return std::vector<int32_t>(); },
      [&](std::span<const int32_t>, uint64_t) {
        most = std::max(most.load(), added.load() - done.load());
        ++done;
      });
  const std::string large(ParallelEncoder::kMaxQueuedBytes / 4, 'x');
  for (int i = 0; i < 12; ++i) {
    ++added;
    encoder.Add(large, "large");
  }
  encoder.Finish();
  EXPECT_EQ(done, 12);
  EXPECT_LE(most, 5);
}

TEST(ParallelEncoder, PassesErrorsOn) {
  const auto encode = [](const std::string& text, const std::string& name) {
    if (text == "17") throw std::runtime_error(name + " is broken");
    return std::vector<int32_t>{1};
  };
  int handed_over = 0;
  ParallelEncoder encoder(3, encode, [&](std::span<const int32_t>, uint64_t) { ++handed_over; });
  std::string message;
  try {
    for (int i = 0; i < 100; ++i) encoder.Add(std::to_string(i), "document " + std::to_string(i));
    encoder.Finish();
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  EXPECT_EQ(message, "document 17 is broken");
  EXPECT_EQ(handed_over, 17);
}

TEST(ParallelEncoder, SinkMayThrow) {
  ParallelEncoder encoder(
      2, Bytes, [](std::span<const int32_t>, uint64_t) { throw std::runtime_error("disk full"); });
  EXPECT_THROW(
      {
        for (int i = 0; i < 10; ++i) encoder.Add(std::string(70000, 'x'), "document");
        encoder.Finish();
      },
      std::runtime_error);
}

TEST(ParallelEncoder, MayBeDroppedHalfway) {
  ParallelEncoder encoder(2, Bytes, [](std::span<const int32_t>, uint64_t) {});
  for (int i = 0; i < 100; ++i) encoder.Add(std::string(10000, 'x'), "document");
}

}  // namespace
}  // namespace stocha
