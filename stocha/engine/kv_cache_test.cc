#include "stocha/engine/kv_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"
#include "stocha/engine/random_model.h"

namespace stocha {
namespace {

TEST(KvCacheTest, CopiesWhatIsFilledIntoAnotherCapacity) {
  const ModelConfig config = SmallConfig();
  const KvCache empty(config, 3);
  KvCache source(config, 5);
  KvCache copy(config, 9);
  for (int layer = 0; layer < 2; ++layer) {
    for (int head = 0; head < 3; ++head) {
      for (int position = 0; position < 4; ++position) {
        for (int i = 0; i < 10; ++i) {
          const auto value = static_cast<float>(((layer * 3 + head) * 5 + position) * 10 + i);
          source.Key(layer, head, position)[i] = value;
          source.Value(layer, head, position)[i] = -value;
        }
      }
    }
  }
  source.Advance(4);
  copy.CopyFrom(source);
  EXPECT_EQ(copy.length(), 4);
  EXPECT_EQ(copy.Key(1, 2, 3)[9], ((1 * 3 + 2) * 5 + 3) * 10 + 9);
  EXPECT_EQ(copy.Value(1, 0, 2)[1], -(((1 * 3 + 0) * 5 + 2) * 10 + 1));
  copy.CopyFrom(empty);
  EXPECT_EQ(copy.length(), 0);
  KvCache small(config, 3);
  EXPECT_THROW(small.CopyFrom(source), Error);
}

TEST(KvCacheTest, CopiesBehindWhatIsTheSameAlreadyAndCuts) {
  const ModelConfig config = SmallConfig();
  KvCache source(config, 5);
  KvCache copy(config, 7);
  for (int position = 0; position < 4; ++position) {
    *source.Key(1, 2, position) = static_cast<float>(position);
    *copy.Key(1, 2, position) = -1;
  }
  source.Advance(4);
  copy.Advance(3);
  copy.Truncate(2);
  EXPECT_EQ(copy.length(), 2);
  copy.CopyFrom(source, 2);
  EXPECT_EQ(copy.length(), 4);
  EXPECT_EQ(*copy.Key(1, 2, 1), -1);
  EXPECT_EQ(*copy.Key(1, 2, 2), 2);
  EXPECT_EQ(*copy.Key(1, 2, 3), 3);
  EXPECT_THROW(copy.Truncate(5), Error);
  EXPECT_THROW(copy.Truncate(-1), Error);
  EXPECT_THROW(copy.CopyFrom(source, 5), Error);
}

TEST(KvCacheTest, RefusesMoreThanTheModelsContextAndMoreThanMemory) {
  ModelConfig config = SmallConfig();
  EXPECT_THROW(KvCache(config, 0), Error);
  EXPECT_THROW(KvCache(config, 101), Error);
  config.max_position_embeddings = 1 << 30;
  config.num_hidden_layers = 4096;
  config.head_dim = 1 << 14;
  config.num_key_value_heads = 1 << 14;
  try {
    const KvCache cache(config, 1 << 30);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("not enough memory"), std::string::npos);
  }
}

}  // namespace
}  // namespace stocha
