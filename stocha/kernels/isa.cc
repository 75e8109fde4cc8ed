#include "stocha/kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <cstdlib>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

Isa Select() {
  const char* wanted = std::getenv("STOCHA_ISA");
  if (wanted == nullptr || *wanted == '\0') return AvailableIsas().back();
  return IsaNamed(wanted, "STOCHA_ISA");
}

#if defined(__x86_64__)
// Whether the processor has AMX, INT8 and BF16 (all that have one have both) and Linux lets this
// process use it, which it wants to be asked: then for all of its threads.
bool RequestAmx() {
  constexpr uint32_t kAmxTile = 1U << 24;  // CPUID 7.0, EDX
  constexpr uint32_t kAmxInt8 = 1U << 25;
  constexpr uint32_t kAmxBF16 = 1U << 22;
  constexpr uint32_t kAmx = kAmxTile | kAmxInt8 | kAmxBF16;
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kAmx) != kAmx) return false;

  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return false;
  constexpr int kTileData = 18;  // number of a part of the processor's state
  constexpr uint32_t kTiles = 1U << 17 | 1U << kTileData;  // 17: their configuration
  uint32_t enabled = 0;
  asm("xgetbv" : "=a"(enabled), "=d"(edx) : "c"(0));
  if ((enabled & kTiles) != kTiles) return false;

  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM, in headers of Linux 5.16
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool HasAmx() {
  static const bool has = RequestAmx();
  return has;
}
#endif

}  // namespace

std::vector<Isa> AvailableIsas() {
  std::vector<Isa> isas = {Isa::kScalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  if (avx2) isas.push_back(Isa::kAvx2);
  if (avx2 && __builtin_cpu_supports("avxvnni")) isas.push_back(Isa::kAvxVnni);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni")) {
    isas.push_back(Isa::kAvx512);
    if (__builtin_cpu_supports("avx512bf16") && HasAmx()) isas.push_back(Isa::kAmx);
  }
#elif defined(__aarch64__)
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) isas.push_back(Isa::kNeon);
#endif
  return isas;
}

Isa IsaNamed(std::string_view name, std::string_view where) {
  std::string names;
  for (const Isa isa : AvailableIsas()) {
    if (IsaName(isa) == name) return isa;
    names += (names.empty() ? "" : ", ") + std::string(IsaName(isa));
  }
  throw Error({.where = std::string(where),
               .what = "instruction set not available on this machine",
               .got = std::string(name),
               .expected = names,
               .hint = "leave it out to use the fastest"});
}

Isa SelectedIsa() {
  static const Isa isa = Select();
  return isa;
}

}  // namespace stocha
