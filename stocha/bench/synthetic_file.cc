#include "stocha/bench/synthetic_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/bench/shape.h"
#include "stocha/bench/synthetic.h"
#include "stocha/bench/thresholds.h"

namespace stocha {
namespace {

// In the files' names: raised when what is in them changes.
constexpr int kFileVersion = 2;

// Half of random gates are negative: ReLU alone silences as many.
constexpr double kLeastSparsity = 0.5;

void CheckSparsity(double sparsity) {
  if (sparsity >= kLeastSparsity && sparsity < 1) return;
  throw UsageError({.where = "--sparsity",
                    .what = "cannot be had with random weights",
                    .got = fmt::format("{}", sparsity),
                    .expected = fmt::format("{} to less than 1", kLeastSparsity)});
}

void RequireDisk(const std::filesystem::path& folder, int64_t bytes) {
  std::error_code failed;
  const std::filesystem::space_info space = std::filesystem::space(folder, failed);
  if (failed || space.available >= static_cast<uintmax_t>(bytes)) return;
  throw Error({.where = folder.string(),
               .what = "not enough room for the model",
               .got = fmt::format("{:.2f} GB free", static_cast<double>(space.available) / 1e9),
               .expected = fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9),
               .hint = "free some, or use --cache DIR"});
}

}  // namespace

std::filesystem::path FindOrMakeSynthetic(const SyntheticSpec& spec,
                                          const std::filesystem::path& folder, ThreadPool& pool,
                                          const std::function<void(const std::string&)>& tell) {
  CheckSparsity(spec.sparsity);
  const ModelConfig config = ParseShape(spec.shape, "--shape");
  const QuantizeType type = ParseQuantizeType(spec.type, "--type");
  std::string shape = spec.shape;
  std::ranges::replace(shape, ',', '-');
  std::filesystem::path path =
      folder / fmt::format("{}_{}{}_sparsity-{}_v{}.gguf", shape, spec.type,
                           spec.layout == FfnLayout::kRows ? "_rows" : "", spec.sparsity,
                           kFileVersion);
  if (std::filesystem::exists(path)) return path;

  const SyntheticModel model(config, type, spec.layout, pool,
                             [&tell] { tell("making random weights"); });
  MakeDirectories(folder);
  RequireDisk(folder, model.bytes());
  const std::vector<float> thresholds = CalibrateThresholds(
      config, [&](const std::vector<float>& values) { return model.MakeModel(values); },
      spec.sparsity, pool,
      [&](int round) { tell(fmt::format("calibrating thresholds, round {}", round)); });
  model.Write(path, thresholds, [&](double fraction) {
    tell(fmt::format("writing {}, {:.0f} %", path.string(), 100 * fraction));
  });
  return path;
}

std::filesystem::path DefaultCacheFolder() {
  const auto variable = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const auto cache = variable("XDG_CACHE_HOME"); cache.is_absolute()) {
    return cache / "stocha-bench";
  }
  if (const auto home = variable("HOME"); home.is_absolute()) {
    return home / ".cache" / "stocha-bench";
  }
  throw Error({.where = "--cache",
               .what = "no folder for models to measure",
               .hint = "give one, or set HOME"});
}

}  // namespace stocha
