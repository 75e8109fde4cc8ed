// Synthetic models as files: made once, then found again.
#ifndef STOCHA_BENCH_SYNTHETIC_FILE_H_
#define STOCHA_BENCH_SYNTHETIC_FILE_H_

#include <filesystem>
#include <functional>
#include <string>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/weights.h"
#include "stocha/model/config.h"

namespace stocha {

struct SyntheticSpec {
  std::string shape;      // as ParseShape takes it
  std::string type;       // as `stocha quantize` takes it
  double sparsity = 0.9;  // the fraction of neurons that stay silent, 0.5 to below 1
  FfnLayout layout = FfnLayout::kNeurons;
};

// The packed model file of the spec in `folder`; made there, thresholds calibrated, unless it is
// there already. Throws UsageError on a spec that cannot be had, Error when memory or the disk is
// short. `tell` hears what takes long, and may throw to end it.
std::filesystem::path FindOrMakeSynthetic(const SyntheticSpec& spec,
                                          const std::filesystem::path& folder, ThreadPool& pool,
                                          const std::function<void(const std::string&)>& tell);

// $XDG_CACHE_HOME/stocha-bench, or ~/.cache/stocha-bench.
std::filesystem::path DefaultCacheFolder();

}  // namespace stocha

#endif  // STOCHA_BENCH_SYNTHETIC_FILE_H_
