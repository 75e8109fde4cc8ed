#include "stocha/data/batch_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "stocha/base/error.h"
#include "stocha/base/philox.h"

namespace stocha {
namespace {

constexpr uint32_t kFeistelRounds = 8;

// Tells the keys drawn here from anything else drawn with the same seed.
constexpr uint32_t kOrderTag = 0x4F524452;

uint64_t EpochKey(uint64_t seed, uint64_t epoch) {
  const PhiloxBlock block = Philox4x32(
      seed, {static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32), 0, kOrderTag});
  return block[0] | uint64_t{block[1]} << 32;
}

// A permutation of [0, 4^half_bits): two halves, each mixed into the other in turn.
uint64_t Feistel(uint64_t index, int half_bits, uint64_t key) {
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  uint64_t left = index >> half_bits;
  uint64_t right = index & mask;
  for (uint32_t round = 0; round < kFeistelRounds; ++round) {
    const uint64_t mixed = Philox4x32(key, {static_cast<uint32_t>(right), round, 0, 0})[0];
    const uint64_t next = left ^ (mixed & mask);
    left = right;
    right = next;
  }
  return left << half_bits | right;
}

}  // namespace

uint64_t PermuteIndex(uint64_t index, uint64_t size, uint64_t key) {
  if (size <= 1) return 0;
  const int half_bits = (std::bit_width(size - 1) + 1) / 2;
  // Cycle walking: the walk from an index below `size` must come back below it, and two walks never
  // meet. The domain is less than 4 * size, so a walk has fewer than 4 steps on average.
  do {
    index = Feistel(index, half_bits, key);
  } while (index >= size);
  return index;
}

BatchOrder::BatchOrder(std::span<const TokenShard> shards, int64_t sequence_length, uint64_t seed)
    : shards_(shards), sequence_length_(sequence_length), seed_(seed) {
  uint64_t longest = 0;
  first_window_.reserve(shards.size() + 1);
  for (const TokenShard& shard : shards) {
    first_window_.push_back(num_windows_);
    longest = std::max(longest, shard.size());
    // Windows overlap by one token: n of them take n * sequence_length + 1.
    if (shard.size() > 0)
      num_windows_ += (shard.size() - 1) / static_cast<uint64_t>(sequence_length);
  }
  first_window_.push_back(num_windows_);
  if (num_windows_ == 0) {
    throw Error({.what = "no token shard holds one sequence",
                 .got = fmt::format("{} tokens in the longest shard", longest),
                 .expected = fmt::format("at least sequence_length + 1 = {}", sequence_length + 1),
                 .hint = "use more text or a shorter data.sequence_length"});
  }
}

void BatchOrder::ReadShuffled(uint64_t sequence, std::span<int32_t> out) const {
  const uint64_t epoch = sequence / num_windows_;
  ReadInOrder(PermuteIndex(sequence % num_windows_, num_windows_, EpochKey(seed_, epoch)), out);
}

void BatchOrder::ReadInOrder(uint64_t window, std::span<int32_t> out) const {
  const auto length = static_cast<uint64_t>(sequence_length_);
  if (window >= num_windows_ || out.size() != length + 1) {
    throw Error({.what = "no such window of tokens",
                 .got = fmt::format("window {}, {} ids", window, out.size()),
                 .expected = fmt::format("below {}, {} ids", num_windows_, length + 1)});
  }
  // The last shard that starts at or before the window; one without a window of its own starts
  // where the next does, and is passed over.
  const auto next = std::ranges::upper_bound(first_window_, window);
  const auto shard = static_cast<size_t>(next - first_window_.begin()) - 1;
  shards_[shard].Read((window - first_window_[shard]) * length, out);
}

}  // namespace stocha
