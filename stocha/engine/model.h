// A language model in memory: config and weights, and the one forward pass that serves prompts,
// decoding and batches.
#ifndef STOCHA_ENGINE_MODEL_H_
#define STOCHA_ENGINE_MODEL_H_

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/step.h"
#include "stocha/engine/weights.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/config.h"

namespace stocha {

// Immutable but for SetThresholds, and thread-safe; movable.
class Model {
 public:
  // `path`: a model directory, or a packed model, which is used where it is mapped. Throws Error:
  // what OpenCheckpoint or PackedModelFile::Open throws, or too little memory. `pool` is used while
  // loading.
  static Model Load(const std::filesystem::path& path, ThreadPool& pool);

  // From tensors in the caller's memory, which must outlive the model; `where` names it in errors.
  Model(const ModelConfig& config, const TensorSource& source, const std::string& where,
        ThreadPool& pool);

  // `weights` must be those of `config`; what they point into must outlive the model.
  Model(const ModelConfig& config, Weights weights);

  // ModelConfig::thresholds becomes this; not while a Forward is at work.
  void SetThresholds(std::vector<float> thresholds);

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }

  // Runs every step and writes the logits it wants. Steps must have caches of their own, made for
  // this model's config. A step's results depend on its tokens, what its cache holds, its
  // activation and its seed alone, to the last bit (for one ISA), whatever else is in the call.
  // Throws Error, with nothing changed, on ids outside the vocabulary and on a full cache.
  void Forward(std::span<const Step> steps, Workspace& workspace) const;

 private:
  void RunPass(std::span<const Token> tokens, Workspace& workspace) const;
  void RunHead(std::span<const Token> tokens, Workspace& workspace) const;

  ModelConfig config_;
  std::shared_ptr<const void> mapping_;  // of the files that weights_ points into, or null
  Weights weights_;
  bool packed_;                              // weights_.packed()
  bool fit_tiles_;                           // weights_.fit_tiles()
  std::vector<double> inverse_frequencies_;  // [head_dim / 2]
};

}  // namespace stocha

#endif  // STOCHA_ENGINE_MODEL_H_
