#include "stocha/bench/machine.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

namespace stocha {
namespace {

// Whether Linux gives AMX's tiles to programs that ask for them: before 5.16 it names the
// processor's AMX in /proc/cpuinfo and gives none.
bool LinuxGivesTiles() {
#if defined(__x86_64__)
  constexpr int kGetSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  constexpr uint64_t kTileData = 1U << 18;
  uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 && (supported & kTileData) != 0;
#else
  return false;
#endif
}

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

// --prefill fast multiplies in bfloat16: a rival without it is not one to be compared with.
TEST(MachineTest, AmxIsNamedWithBFloat16) {
  const std::vector<std::string> features = DescribeMachine(Isa::kAmx).features;
  for (const char* feature : {"amx_int8", "amx_bf16", "avx512_bf16"}) {
    EXPECT_EQ(std::count(features.begin(), features.end(), feature), 1) << feature;
  }
}

// A set that the machine has is not passed over, which would leave it untested without a word.
TEST(MachineTest, AnIsaIsAvailableWhereLinuxNamesItsFeatures) {
  std::ifstream file("/proc/cpuinfo");
  const std::set<std::string> words{std::istream_iterator<std::string>(file), {}};
  ASSERT_FALSE(words.empty());
  const std::vector<Isa> available = AvailableIsas();
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512, Isa::kAmx}) {
    const std::vector<std::string> features = DescribeMachine(isa).features;
    bool named = std::all_of(features.begin(), features.end(),
                             [&](const std::string& feature) { return words.contains(feature); });
    if (isa == Isa::kAmx) named = named && LinuxGivesTiles();
    EXPECT_EQ(std::find(available.begin(), available.end(), isa) != available.end(), named)
        << IsaName(isa);
  }
}

}  // namespace
}  // namespace stocha
