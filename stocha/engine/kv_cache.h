// The keys and values of one sequence: what attention remembers of the tokens before.
#ifndef STOCHA_ENGINE_KV_CACHE_H_
#define STOCHA_ENGINE_KV_CACHE_H_

#include <cstdint>

#include "stocha/base/memory.h"
#include "stocha/model/config.h"

namespace stocha {

// Owned by the caller of Model::Forward; one forward pass at a time may use it.
class KvCache {
 public:
  // Room for `capacity` positions (1 .. max_position_embeddings, or Error); memory is taken as
  // positions are filled. Throws Error when it could never be had.
  KvCache(const ModelConfig& config, int64_t capacity);

  int64_t capacity() const { return capacity_; }
  int64_t length() const { return length_; }  // positions filled
  void Clear() { length_ = 0; }
  // Forgets positions from `length` (at most length()) on.
  void Truncate(int64_t length);

  // Takes over the first `source.length()` positions; shapes must be the same, and the capacity
  // sufficient. The first `kept` (at most length()) are the same here already and are not copied.
  void CopyFrom(const KvCache& source, int64_t kept = 0);

  // Row of `position`; rows of following positions lie head_dim further each.
  float* Key(int64_t layer, int64_t head, int64_t position) const {
    return keys_.data() + Offset(layer, head, position);
  }
  float* Value(int64_t layer, int64_t head, int64_t position) const {
    return values_.data() + Offset(layer, head, position);
  }
  // Counts positions that Forward has filled.
  void Advance(int64_t positions) { length_ += positions; }

 private:
  int64_t Offset(int64_t layer, int64_t head, int64_t position) const {
    return ((layer * heads_ + head) * capacity_ + position) * head_dim_;
  }

  int64_t layers_;
  int64_t heads_;
  int64_t head_dim_;
  int64_t capacity_;
  int64_t length_ = 0;
  Buffer<float> keys_;    // [layers, kv_heads, capacity, head_dim]
  Buffer<float> values_;  // likewise
};

}  // namespace stocha

#endif  // STOCHA_ENGINE_KV_CACHE_H_
