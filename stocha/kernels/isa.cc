#include "stocha/kernels/isa.h"

#if defined(__aarch64__)
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
