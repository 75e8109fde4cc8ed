// Hot neurons first: how often each neuron of a packed model fires on a text, and the same model
// with the neurons of every layer in that order. Neurons that fire often then share pages, so that
// a mapped model that is larger than memory keeps those and rarely touches the others.
//
// The order of neurons means nothing to the model but the order in which they are summed: logits
// are equal within rounding.
#ifndef STOCHA_ENGINE_CALIBRATE_H_
#define STOCHA_ENGINE_CALIBRATE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/packed_model.h"
#include "stocha/engine/thresholds.h"

namespace stocha {

struct Firing {
  int64_t tokens = 0;
  std::vector<std::vector<int64_t>> counts;  // [layers][neurons], the tokens that each fired for

  // Of a layer, hottest first; neurons of equal counts as they stood.
  std::vector<int64_t> HotFirst(size_t layer) const;
  // PackedHeader::fired of neurons in that order, [layers, kFiredParts].
  std::vector<float> Parts() const;
};

// RunText, counting.
Firing CountFiring(const Model& model, const CalibrationText& text, ThreadPool& pool,
                   const std::function<void(int64_t tokens)>& progress);

// Writes the model of `content` through AtomicFile, neurons ordered, all else as `model` says;
// `content` may be that of the file that is replaced. `progress` is told how many bytes are done,
// and may throw to stop: then nothing is left.
void WriteHotFirst(const GgufContent& content, const PackedModel& model, const Firing& firing,
                   const std::filesystem::path& output,
                   const std::function<void(int64_t bytes)>& progress);

}  // namespace stocha

#endif  // STOCHA_ENGINE_CALIBRATE_H_
