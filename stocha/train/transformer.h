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
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "stocha/model/activation.h"
#include "stocha/model/config.h"
#include "stocha/model/tensors.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/checkpoint_op.h"
#include "stocha/train/gated_activation_op.h"
#include "stocha/train/rms_norm_op.h"
#include "stocha/train/rotate_op.h"

namespace stocha {

// gate_up: [tokens, 2 * intermediate_size] of the compute type, contiguous: gate, then up. Returns
// [tokens, intermediate_size].
using GatedActivationFunction =
    std::function<at::Tensor(const at::Tensor& gate_up, const GatedActivationCall& call)>;

// The matrices in the compute type, those with one input as one matrix. Autograd leads from each to
// the master weights, so that gradients arrive there, in f32, however many passes use it.
struct ComputeWeights {
  struct Layer {
    at::Tensor qkv;               // [q_size + 2 * kv_size, hidden_size]
    at::Tensor qkv_bias;          // [q_size + 2 * kv_size], or undefined
    at::Tensor attention_output;  // [hidden_size, q_size]
    at::Tensor gate_up;           // [2 * intermediate_size, hidden_size]
    at::Tensor down;              // [hidden_size, intermediate_size]
  };
  std::vector<Layer> layers;
  at::Tensor head;  // [vocab_size, hidden_size]
};

// Told of a layer's FFN in a pass: its input x and output y, [tokens, hidden_size] of the compute
// type, and the f32 residual stream that y will be added to.
using FeedForwardObserver = std::function<void(int layer, const at::Tensor& x, const at::Tensor& y,
                                               const at::Tensor& stream)>;

struct ForwardOptions {
  Activation activation;
  uint64_t seed = 0;  // of the coins; with `step` and the layer it makes the CoinStream
  uint32_t step = 0;
  uint32_t first_row = 0;                        // index, in the global batch, of the first token
  ComputeType compute_type = ComputeType::kF32;  // of matrix products and attention
  // Transformer::CastWeights(compute_type) since the last update; null: cast for this pass alone.
  std::shared_ptr<const ComputeWeights> weights;
  double l1_scale = 0;                    // GatedActivationCall::l1_scale of every layer
  bool checkpoint_blocks = false;         // keep each block's input alone
  std::span<GatedActivationStats> stats;  // one a layer, summed into; empty: none wanted
  GatedActivationFunction gated_activation = GatedActivation;  // a benchmark puts another in
  FeedForwardObserver feed_forward_observer;                   // may be empty
};

// Forward passes are const; what autograd records belongs to the caller's tensors.
class Transformer {
 public:
  // Takes `weights` over as leaves that require gradients.
  Transformer(ModelConfig config, std::vector<at::Tensor> weights);

  const ModelConfig& config() const { return config_; }
  const std::vector<TensorSpec>& specs() const { return specs_; }      // ListTensors(config)
  const std::vector<at::Tensor>& weights() const { return weights_; }  // f32, one a spec

  // Of layer `layer`, or of the whole model (-1). Undefined when the architecture has no such
  // weight.
  at::Tensor Weight(TensorRole role, int layer) const;

  std::shared_ptr<const ComputeWeights> CastWeights(ComputeType type) const;

  // The last norm's output, [tokens, hidden_size] of the compute type; options.weights must be set.
  // ids: [sequences, tokens of each], int64.
  at::Tensor Hidden(const at::Tensor& ids, const ForwardOptions& options) const;

  // A pass layer by layer, for those who need to stand between two; options.weights must be set.
  // The f32 residual stream before the first layer, [tokens, hidden_size]:
  at::Tensor Embed(const at::Tensor& ids) const;
  // What layer `layer`'s heads read, one beside the other, [tokens, q_size] of the compute type.
  // stream: with all that the layers before have added; sequence: tokens of each.
  at::Tensor Heads(const at::Tensor& stream, int64_t sequence, int layer,
                   const ForwardOptions& options) const;
  // With what its heads have read: the stream that the layer adds its FFN's output to, and that
  // FFN's input.
  NormedSum BeforeFeedForward(const at::Tensor& stream, const at::Tensor& heads, int layer,
                              const ForwardOptions& options) const;

  // Of one layer: x as FeedForwardObserver has it; act(gate) * up, [tokens, intermediate_size], and
  // its y. options.weights must be set.
  at::Tensor GatedHidden(const at::Tensor& x, int layer, const ForwardOptions& options) const;
  at::Tensor FeedForward(const at::Tensor& x, int layer, const ForwardOptions& options) const;

  // Mean cross-entropy in nats a token, an f32 scalar. targets: as ids.
  at::Tensor Loss(const at::Tensor& ids, const at::Tensor& targets,
                  const ForwardOptions& options) const;

 private:
  // Between two blocks, each [tokens, hidden_size]: x, the f32 residual stream, and delta, of the
  // compute type, which the last block adds to it: the next one's norm does that in the same pass.
  // Undefined before the first block.
  using Stream = CheckpointTensors;
  // What the blocks of a pass share.
  struct Pass {
    ForwardOptions options;  // with its weights
    RopeTables rope;
    at::ScalarType type;
  };

  RopeTables MakeRopeTables(int64_t sequence) const;
  Pass MakePass(int64_t sequence, const ForwardOptions& options) const;
  at::Tensor CastFused(std::initializer_list<TensorRole> roles, int layer,
                       at::ScalarType type) const;
  NormedSum BeforeAttention(const Stream& stream, int layer, const Pass& pass) const;
  Stream Block(const Stream& stream, int layer, const Pass& pass) const;
  Stream CheckpointedBlock(const Stream& stream, int layer, const Pass& pass) const;
  // x: [tokens, hidden_size] of the compute type, normed. Returns [tokens, q_size].
  at::Tensor Heads(const at::Tensor& x, int layer, const Pass& pass) const;
  // [tokens, q_size + 2 * kv_size], each head of q and k normed (Qwen3).
  at::Tensor NormQueriesAndKeys(const at::Tensor& qkv, int layer) const;

  ModelConfig config_;
  std::vector<TensorSpec> specs_;
  std::vector<at::Tensor> weights_;
  std::vector<int> index_;          // [layers + 1, roles] into weights_; -1: absent
  at::Tensor inverse_frequencies_;  // [head_dim / 2], f32
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_TRANSFORMER_H_
