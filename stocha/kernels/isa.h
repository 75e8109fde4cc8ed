// Which instruction set the kernels use: the best one this machine has, or STOCHA_ISA.
#ifndef STOCHA_KERNELS_ISA_H_
#define STOCHA_KERNELS_ISA_H_

#include <cstdint>
#include <string_view>
#include <vector>

namespace stocha {

enum class Isa : uint8_t { kScalar, kAvx2, kAvxVnni, kAvx512, kAmx, kNeon };

constexpr std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvxVnni:
      return "avxvnni";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
    case Isa::kNeon:
      return "neon";
  }
  return "?";
}

// The ISAs this machine can run, slowest first; kScalar is always there.
std::vector<Isa> AvailableIsas();

// The available ISA of that name. Throws Error, with `where` at its head, when there is none.
Isa IsaNamed(std::string_view name, std::string_view where);

// The fastest available one, or the one named by the environment variable STOCHA_ISA. Throws as
// IsaNamed does. Read once, then fixed for the process.
Isa SelectedIsa();

}  // namespace stocha

#endif  // STOCHA_KERNELS_ISA_H_
