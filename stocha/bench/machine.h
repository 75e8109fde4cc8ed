// What machine a figure was measured on.
#ifndef STOCHA_BENCH_MACHINE_H_
#define STOCHA_BENCH_MACHINE_H_

#include <string>
#include <string_view>
#include <vector>

#include "stocha/kernels/isa.h"

namespace stocha {

struct Machine {
  std::string cpu;                    // "AMD EPYC ..."
  int cores = 0;                      // that this process may use
  std::string isa;                    // of the kernels: "avx512"
  std::vector<std::string> features;  // of the processor that this ISA uses, named as /proc/cpuinfo
};

Machine DescribeMachine(Isa isa);

// The first "model name" (or "Model", "Hardware") of a /proc/cpuinfo; "unknown" without one.
std::string CpuModel(std::string_view cpuinfo);

}  // namespace stocha

#endif  // STOCHA_BENCH_MACHINE_H_
