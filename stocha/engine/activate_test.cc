#include "stocha/engine/activate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

// Against the definition, model/activation.h: same coins, same zeros, values to a few ulp.
TEST(ActivateTest, AgreesWithTheDefinition) {
  const CoinStream stream = {.seed = 0x1234567890ABCDEF, .layer = 3};
  constexpr uint32_t kRow = 17;
  constexpr uint32_t kFirst = 256;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> gate(203);
  for (float& x : gate) x = normal(generator);
  gate[7] = 0;
  gate[8] = -0.0F;
  gate[9] = std::nanf("");
  for (const char* text :
       {"relu", "relu2", "silu", "stocha:0.3", "stocha:0.3,smooth", "stocha:0.5,token", "stocha:1",
        "stocha:0", "stocha:0.9,layer", "expected:0.4", "expected:0.4,smooth", "expected:0",
        "stocha:0.6,blend", "expected:0.2,blend", "stocha:1,blend"}) {
    const Activation activation = ParseActivation(text, "test");
    for (const Isa isa : AvailableIsas()) {
      std::vector<float> got = gate;
      std::vector<float> scratch(gate.size());
      ActivateBlock(Kernels(isa), activation, stream, kRow, kFirst, got, scratch);
      for (size_t i = 0; i < gate.size(); ++i) {
        const auto neuron = static_cast<uint32_t>(kFirst + i);
        const bool coin = Coin(activation, stream, kRow, neuron);
        const double expected = Activate(activation, gate[i], coin);
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(got[i])) << text;
          continue;
        }
        EXPECT_NEAR(got[i], expected, 1e-6 * std::abs(expected)) << text << " of " << gate[i];
        EXPECT_EQ(got[i] == 0, expected == 0) << text << " of " << gate[i];
      }
    }
  }
}

}  // namespace
}  // namespace stocha
