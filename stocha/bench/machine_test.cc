#include "stocha/bench/machine.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

TEST(MachineTest, FindsTheProcessorsName) {
  EXPECT_EQ(CpuModel("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some CPU 3000 \nflags\t: x\n"),
            "Some CPU 3000");
  EXPECT_EQ(CpuModel("processor : 0\nModel : A Board"), "A Board");
  EXPECT_EQ(CpuModel(""), "unknown");
  EXPECT_EQ(CpuModel("no colon\nmodel name\n"), "unknown");
}

TEST(MachineTest, NamesTheFeaturesThatAnIsaUses) {
  for (const Isa isa : AvailableIsas()) {
    const Machine machine = DescribeMachine(isa);
    EXPECT_EQ(machine.isa, IsaName(isa));
    EXPECT_GE(machine.cores, 1);
    EXPECT_EQ(machine.features.empty(), isa == Isa::kScalar);
  }
}

}  // namespace
}  // namespace stocha
