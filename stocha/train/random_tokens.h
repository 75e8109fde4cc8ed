// Random tokens as training data: what a step costs does not depend on them.
#ifndef STOCHA_TRAIN_RANDOM_TOKENS_H_
#define STOCHA_TRAIN_RANDOM_TOKENS_H_

#include <cstdint>
#include <vector>

#include "stocha/data/batch_order.h"
#include "stocha/data/token_shard.h"
#include "stocha/recipe/recipe.h"

namespace stocha {

// A shard of `sequences` windows, in a file that has no name any more once it is mapped.
class RandomTokens {
 public:
  RandomTokens(const Recipe& recipe, int64_t sequences);
  RandomTokens(const RandomTokens&) = delete;  // the order borrows the shards
  RandomTokens& operator=(const RandomTokens&) = delete;

  const BatchOrder& order() const { return order_; }

 private:
  std::vector<TokenShard> shards_;
  BatchOrder order_;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_RANDOM_TOKENS_H_
