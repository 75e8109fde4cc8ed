#include "stocha/bench/machine.h"

#include <fstream>
#include <iterator>

#include "stocha/base/thread_pool.h"

namespace stocha {
namespace {

std::vector<std::string> FeaturesOf(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return {};
    case Isa::kAvx2:
      return {"avx2", "fma", "f16c"};
    case Isa::kAvxVnni:
      return {"avx2", "fma", "f16c", "avx_vnni"};
    case Isa::kAvx512:
      return {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"};
    case Isa::kAmx:
      return {"avx2",     "fma",         "f16c",        "avx512f",  "avx512bw", "avx512dq",
              "avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"};
    case Isa::kNeon:
      return {"asimd", "asimddp"};
  }
  return {};
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

std::string CpuModel(std::string_view cpuinfo) {
  for (size_t begin = 0; begin < cpuinfo.size();) {
    const size_t end = std::min(cpuinfo.find('\n', begin), cpuinfo.size());
    const std::string_view line = cpuinfo.substr(begin, end - begin);
    begin = end + 1;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = Trim(line.substr(0, colon));
    if (key == "model name" || key == "Model" || key == "Hardware") {
      return std::string(Trim(line.substr(colon + 1)));
    }
  }
  return "unknown";
}

Machine DescribeMachine(Isa isa) {
  std::ifstream file("/proc/cpuinfo");
  const std::string cpuinfo{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return {.cpu = CpuModel(cpuinfo),
          .cores = AvailableProcessors(),
          .isa = std::string(IsaName(isa)),
          .features = FeaturesOf(isa)};
}

}  // namespace stocha
