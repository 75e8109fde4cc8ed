// Which tokens a training step sees: a pure function of (seed, step), so that a resume needs no
// state.
//
// The shards, one after another, are cut into windows of sequence_length + 1 tokens that overlap by
// one (inputs and their targets). Each epoch visits every window once, in an order given by a keyed
// permutation of the window numbers (a Feistel network, cycle-walked), keyed by seed and epoch.
#ifndef STOCHA_DATA_BATCH_ORDER_H_
#define STOCHA_DATA_BATCH_ORDER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "stocha/data/token_shard.h"

namespace stocha {

// Position of `index` in a pseudo-random permutation of [0, size), keyed by `key`.
uint64_t PermuteIndex(uint64_t index, uint64_t size, uint64_t key);

// Windows over shards. Immutable, thread-safe; borrows `shards`.
class BatchOrder {
 public:
  // Throws Error when no shard holds one window.
  BatchOrder(std::span<const TokenShard> shards, int64_t sequence_length, uint64_t seed);

  uint64_t num_windows() const { return num_windows_; }
  uint64_t num_tokens() const { return num_windows_ * static_cast<uint64_t>(sequence_length_); }

  // Sequence `sequence` of all ever drawn: step * batch_size + i. Fills sequence_length + 1 ids.
  void ReadShuffled(uint64_t sequence, std::span<int32_t> out) const;
  // Window `window` in file order, for validation.
  void ReadInOrder(uint64_t window, std::span<int32_t> out) const;

 private:
  std::span<const TokenShard> shards_;
  std::vector<uint64_t> first_window_;  // of each shard, and the total at the end
  int64_t sequence_length_;
  uint64_t seed_;
  uint64_t num_windows_ = 0;
};

}  // namespace stocha

#endif  // STOCHA_DATA_BATCH_ORDER_H_
