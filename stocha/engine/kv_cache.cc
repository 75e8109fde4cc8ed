#include "stocha/engine/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

int64_t CheckCapacity(const ModelConfig& config, int64_t capacity) {
  if (capacity < 1 || capacity > config.max_position_embeddings) {
    throw Error({.where = "context",
                 .what = "tokens in one sequence",
                 .got = std::to_string(capacity),
                 .expected = "1 to " + std::to_string(config.max_position_embeddings) +
                             " (max_position_embeddings)"});
  }
  // Of the keys or the values; the product of the config's limits exceeds 2^63.
  int64_t bytes = config.num_hidden_layers * config.kv_size() * int64_t{sizeof(float)};
  if (__builtin_mul_overflow(bytes, 2 * capacity, &bytes)) {
    bytes = std::numeric_limits<int64_t>::max();
  }
  RequireMemory(bytes, AvailableMemory(), "context",
                "keys and values of " + std::to_string(capacity) + " tokens");
  return capacity;
}

}  // namespace

KvCache::KvCache(const ModelConfig& config, int64_t capacity)
    : layers_(config.num_hidden_layers),
      heads_(config.num_key_value_heads),
      head_dim_(config.head_dim),
      capacity_(CheckCapacity(config, capacity)),
      keys_(layers_ * heads_ * capacity_ * head_dim_),
      values_(layers_ * heads_ * capacity_ * head_dim_) {}

void KvCache::Truncate(int64_t length) {
  if (length < 0 || length > length_) {
    throw Error({.where = "context",
                 .what = "cannot cut a sequence",
                 .got = std::to_string(length) + " positions",
                 .expected = "0 to " + std::to_string(length_)});
  }
  length_ = length;
}

void KvCache::CopyFrom(const KvCache& source, int64_t kept) {
  if (source.layers_ != layers_ || source.heads_ != heads_ || source.head_dim_ != head_dim_ ||
      source.length_ > capacity_ || kept < 0 || kept > std::min(length_, source.length_)) {
    throw Error({.where = "context",
                 .what = "cannot copy keys and values",
                 .got = std::to_string(source.length_) + " positions, or another model's",
                 .expected = "at most " + std::to_string(capacity_) + " of the same model"});
  }
  length_ = source.length_;
  if (length_ == kept) return;
  const size_t bytes = static_cast<size_t>((length_ - kept) * head_dim_) * sizeof(float);
  for (int64_t layer = 0; layer < layers_; ++layer) {
    for (int64_t head = 0; head < heads_; ++head) {
      std::memcpy(Key(layer, head, kept), source.Key(layer, head, kept), bytes);
      std::memcpy(Value(layer, head, kept), source.Value(layer, head, kept), bytes);
    }
  }
}

}  // namespace stocha
