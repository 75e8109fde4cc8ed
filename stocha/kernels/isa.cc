#include "stocha/kernels/isa.h"

#include <cstdlib>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

Isa Select() {
  const std::vector<Isa> available = AvailableIsas();
  const char* wanted = std::getenv("STOCHA_ISA");
  if (wanted == nullptr || *wanted == '\0') return available.back();
  std::string names;
  for (const Isa isa : available) {
    if (IsaName(isa) == wanted) return isa;
    names += (names.empty() ? "" : ", ") + std::string(IsaName(isa));
  }
  throw Error({.where = "STOCHA_ISA",
               .what = "instruction set not available on this machine",
               .got = wanted,
               .expected = names,
               .hint = "unset it to use the fastest"});
}

}  // namespace

std::vector<Isa> AvailableIsas() {
  std::vector<Isa> isas = {Isa::kScalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isas.push_back(Isa::kAvx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    isas.push_back(Isa::kAvx512);
  }
#endif
  return isas;
}

Isa SelectedIsa() {
  static const Isa isa = Select();
  return isa;
}

}  // namespace stocha
