#include "stocha/bench/shape.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"
#include "stocha/model/tensors.h"

namespace stocha {
namespace {

TEST(ShapeTest, NamesAreModelsOfTheirSize) {
  const auto billions = [](const char* name) {
    return static_cast<double>(CountParameters(ParseShape(name, "--shape"))) / 1e9;
  };
  EXPECT_NEAR(billions("llama-3.2-1b"), 1.236, 0.001);  // as their model cards say
  EXPECT_NEAR(billions("llama-3.2-3b"), 3.213, 0.001);
  EXPECT_NEAR(billions("smollm2-135m"), 0.1345, 0.0001);
  EXPECT_NEAR(billions("lm1.5b"), 1.5, 0.05);
  EXPECT_NEAR(billions("lm3b"), 3.0, 0.05);
}

TEST(ShapeTest, ReadsSizes) {
  const ModelConfig config = ParseShape("64,160,3,4,2,100", "--shape");
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.intermediate_size, 160);
  EXPECT_EQ(config.num_hidden_layers, 3);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.vocab_size, 100);
  EXPECT_EQ(config.activation.kind, ActivationKind::kRelu);
}

TEST(ShapeTest, RefusesWhatIsNoShape) {
  for (const std::string text :
       {"", "llama", "64,160,3,4,2", "64,160,3,4,2,100,", "64,160,3,4,2,1e3", "0,160,3,4,2,100",
        "-64,160,3,4,2,100", "64,160,3,5,5,100", "64,160,3,4,3,100", " 64,160,3,4,2,100",
        "99999999999999999999,1,1,1,1,1", "64,160,3,4,2,9223372036854775807"}) {
    EXPECT_THROW(ParseShape(text, "--shape"), UsageError) << text;
  }
}

}  // namespace
}  // namespace stocha
