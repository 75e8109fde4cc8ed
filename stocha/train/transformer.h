// The model that is trained: Llama, Qwen2 and Qwen3 as transformers computes them, on torch's
// autograd.
//
// Weights are plain f32 tensors in the order of ListTensors(config). The activation, the coins and
// the compute type are values passed to each forward pass, never state of the model.
#ifndef STOCHA_TRAIN_TRANSFORMER_H_
#define STOCHA_TRAIN_TRANSFORMER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stocha/model/activation.h"
#include "stocha/model/config.h"
#include "stocha/model/tensors.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/gated_activation_op.h"

namespace stocha {

// gate, up: [tokens, intermediate_size] of the compute type, contiguous; returns the same shape.
using GatedActivationFunction = std::function<at::Tensor(
    const at::Tensor& gate, const at::Tensor& up, const GatedActivationCall& call)>;

struct ForwardOptions {
  Activation activation;
  uint64_t seed = 0;  // of the coins; with `step` and the layer it makes the CoinStream
  uint32_t step = 0;
  uint32_t first_row = 0;                        // index, in the global batch, of the first token
  ComputeType compute_type = ComputeType::kF32;  // of matrix products and attention
  double l1_scale = 0;                           // GatedActivationCall::l1_scale of every layer
  std::span<GatedActivationStats> stats;         // one a layer, summed into; empty: none wanted
  GatedActivationFunction gated_activation = GatedActivation;  // a benchmark puts another in
};

// Forward passes are const; what autograd records belongs to the caller's tensors.
class Transformer {
 public:
  // Takes `weights` over as leaves that require gradients.
  Transformer(ModelConfig config, std::vector<at::Tensor> weights);

  const ModelConfig& config() const { return config_; }
  const std::vector<TensorSpec>& specs() const { return specs_; }      // ListTensors(config)
  const std::vector<at::Tensor>& weights() const { return weights_; }  // f32, one a spec

  // ids: [batch, sequence], int64. Returns [batch * sequence, vocab_size] of the compute type.
  at::Tensor Logits(const at::Tensor& ids, const ForwardOptions& options) const;
  // Mean cross-entropy in nats a token, an f32 scalar. targets: as ids.
  at::Tensor Loss(const at::Tensor& ids, const at::Tensor& targets,
                  const ForwardOptions& options) const;

 private:
  struct Rope {
    at::Tensor cos, sin;  // [sequence, 1, head_dim / 2], f32
  };
  Rope RopeTables(int64_t sequence) const;
  // Of layer `layer`, or of the whole model (-1). Undefined when the architecture has no such
  // weight.
  at::Tensor Weight(TensorRole role, int layer) const;
  at::Tensor Attention(const at::Tensor& x, const Rope& rope, int layer) const;
  at::Tensor FeedForward(const at::Tensor& x, int layer, const ForwardOptions& options) const;

  ModelConfig config_;
  std::vector<TensorSpec> specs_;
  std::vector<at::Tensor> weights_;
  std::vector<int> index_;          // [layers + 1, roles] into weights_; -1: absent
  at::Tensor inverse_frequencies_;  // [head_dim / 2], f32
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_TRANSFORMER_H_
