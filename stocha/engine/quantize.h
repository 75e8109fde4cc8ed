// Writing a model as a packed file (packed_model.h), a layer in memory at a time.
#ifndef STOCHA_ENGINE_QUANTIZE_H_
#define STOCHA_ENGINE_QUANTIZE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/packed_model.h"
#include "stocha/engine/quantize_type.h"
#include "stocha/model/tensors.h"

namespace stocha {

// Where weights come from; a model directory, a GGUF, another packed file.
struct QuantizeSource {
  PackedHeader header;  // type and config.dtype are set by Quantize
  // Rows first .. first + count - 1 of a tensor of ListTensors as floats, [count, columns].
  std::function<std::vector<float>(const TensorSpec& spec, int64_t first, int64_t count)> read;
};

// What became of the tensors of one part of the model that have one type.
struct QuantizedPart {
  std::string_view part;  // ModelPartName
  WeightType wanted = WeightType::kF32;
  WeightType type = WeightType::kF32;  // another one where rows do not fit the wanted one
  int64_t bytes = 0;
  double squares = 0;  // sum of w^2
  double error = 0;    // sum of (w - w')^2, w' being what the file says

  // ||w - w'|| / ||w||
  double RelativeError() const;
};

// Writes `output`, laid out as `layout` says, through AtomicFile; `pool` rounds. `progress` is told
// how many weights are done, and may throw to stop: then nothing is left. Throws Error, nothing
// being left, on weights that are not finite or beyond what the type can say.
std::vector<QuantizedPart> Quantize(const QuantizeSource& source, QuantizeType type,
                                    FfnLayout layout, const std::filesystem::path& output,
                                    ThreadPool& pool,
                                    const std::function<void(int64_t weights)>& progress);

}  // namespace stocha

#endif  // STOCHA_ENGINE_QUANTIZE_H_
