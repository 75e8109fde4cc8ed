#include "stocha/kernels/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

TEST(IsaTest, ScalarIsAlwaysAvailableAndSlowest) {
  const std::vector<Isa> isas = AvailableIsas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::kScalar);
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
  EXPECT_EQ(std::adjacent_find(isas.begin(), isas.end()), isas.end());
}

TEST(IsaTest, EveryAvailableIsaIsFoundByItsName) {
  for (const Isa isa : AvailableIsas()) EXPECT_EQ(IsaNamed(IsaName(isa), "flag"), isa);
}

TEST(IsaTest, AnUnknownNameIsRefusedWithTheChoices) {
  try {
    IsaNamed("avx1024", "STOCHA_ISA");
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find("STOCHA_ISA: "), 0u) << message;
    EXPECT_NE(message.find("avx1024"), std::string::npos) << message;
    EXPECT_NE(message.find("scalar"), std::string::npos) << message;
  }
}

TEST(IsaTest, TheEnvironmentDecides) {
  const char* wanted = std::getenv("STOCHA_ISA");
  const bool named = wanted != nullptr && *wanted != '\0';
  EXPECT_EQ(SelectedIsa(), named ? IsaNamed(wanted, "STOCHA_ISA") : AvailableIsas().back());
}

}  // namespace
}  // namespace stocha
