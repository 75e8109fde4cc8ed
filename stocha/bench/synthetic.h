// A model of a given shape with random weights: how fast the engine is does not depend on what the
// weights say, so a shape is enough to measure it. (Its quality cannot be measured so.)
//
// The weights are as large as those of trained models: gates and projections have unit outputs, and
// every layer adds a little to the residual stream.
#ifndef STOCHA_BENCH_SYNTHETIC_H_
#define STOCHA_BENCH_SYNTHETIC_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/base/thread_pool.h"
#include "stocha/engine/model.h"
#include "stocha/engine/packed_model.h"
#include "stocha/engine/quantize_type.h"
#include "stocha/model/config.h"
#include "stocha/model/gguf.h"

namespace stocha {

// Owns the weights in memory, as a packed model file holds them; the same ones every time.
class SyntheticModel {
 public:
  // Throws Error when memory is short. `tell` is called before every tensor, and may throw.
  SyntheticModel(
      const ModelConfig& config, QuantizeType type, FfnLayout layout, ThreadPool& pool,
      const std::function<void()>& tell = [] {});

  int64_t bytes() const;
  // With these thresholds ([layers]); valid as long as this is.
  Model MakeModel(const std::vector<float>& thresholds) const;
  // Through a temporary file. Throws Error, e.g. on a full disk. `tell` hears how far it is, and
  // may throw to end it.
  void Write(const std::filesystem::path& path, const std::vector<float>& thresholds,
             const std::function<void(double fraction)>& tell) const;

 private:
  PackedHeader Header(const std::vector<float>& thresholds) const;

  ModelConfig config_;
  QuantizeType type_;
  std::vector<PackedTensor> tensors_;
  std::vector<Buffer<std::byte>> storage_;  // [tensors]
};

}  // namespace stocha

#endif  // STOCHA_BENCH_SYNTHETIC_H_
