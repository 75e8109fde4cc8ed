#include "stocha/train/transformer.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "stocha/train/attention_op.h"
#include "stocha/train/cross_entropy_op.h"
#include "stocha/train/linear_op.h"
#include "stocha/train/rms_norm_op.h"

namespace stocha {
namespace {

constexpr int kNumRoles = static_cast<int>(TensorRole::kHead) + 1;

at::ScalarType ScalarTypeOf(ComputeType type) {
  return type == ComputeType::kBF16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace

Transformer::Transformer(ModelConfig config, std::vector<at::Tensor> weights)
    : config_(std::move(config)),
      specs_(ListTensors(config_)),
      weights_(std::move(weights)),
      index_((config_.num_hidden_layers + 1) * kNumRoles, -1) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    index_[(specs_[i].layer + 1) * kNumRoles + static_cast<int>(specs_[i].role)] =
        static_cast<int>(i);
    weights_[i].requires_grad_();
  }
  const std::vector<double> frequencies = RopeInverseFrequencies(config_);
  inverse_frequencies_ = at::empty({config_.head_dim / 2}, at::kFloat);
  std::copy(frequencies.begin(), frequencies.end(), inverse_frequencies_.mutable_data_ptr<float>());
}

at::Tensor Transformer::Weight(TensorRole role, int layer) const {
  const int index = index_[(layer + 1) * kNumRoles + static_cast<int>(role)];
  return index < 0 ? at::Tensor() : weights_[index];
}

at::Tensor Transformer::CastFused(std::initializer_list<TensorRole> roles, int layer,
                                  at::ScalarType type) const {
  std::vector<at::Tensor> parts;
  for (const TensorRole role : roles) {
    const at::Tensor weight = Weight(role, layer);
    if (weight.defined()) parts.push_back(weight.to(type));
  }
  if (parts.empty()) return {};
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

std::shared_ptr<const ComputeWeights> Transformer::CastWeights(ComputeType compute_type) const {
  using Role = TensorRole;
  const at::ScalarType type = ScalarTypeOf(compute_type);
  auto weights = std::make_shared<ComputeWeights>();
  for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
    weights->layers.push_back(
        {.qkv = CastFused({Role::kQuery, Role::kKey, Role::kValue}, layer, type),
         .qkv_bias = CastFused({Role::kQueryBias, Role::kKeyBias, Role::kValueBias}, layer, type),
         .attention_output = CastFused({Role::kAttentionOutput}, layer, type),
         .gate_up = CastFused({Role::kGate, Role::kUp}, layer, type),
         .down = CastFused({Role::kDown}, layer, type)});
  }
  const bool tied = !Weight(Role::kHead, -1).defined();
  weights->head = CastFused({tied ? Role::kEmbedding : Role::kHead}, -1, type);
  return weights;
}

// The angle is rounded to f32 before its cosine is taken, as transformers has it.
RopeTables Transformer::MakeRopeTables(int64_t sequence) const {
  const at::Tensor angles = at::outer(at::arange(sequence, at::kFloat), inverse_frequencies_);
  return {at::cos(angles), at::sin(angles)};
}

at::Tensor Transformer::NormQueriesAndKeys(const at::Tensor& qkv, int layer) const {
  const std::vector<at::Tensor> parts =
      qkv.split_with_sizes({config_.q_size(), config_.kv_size(), config_.kv_size()}, 1);
  const auto norm = [&](const at::Tensor& x, TensorRole role) {
    return RmsNorm(x.unflatten(1, {-1, config_.head_dim}), Weight(role, layer),
                   config_.rms_norm_eps, x.scalar_type())
        .flatten(1);
  };
  return at::cat(
      {norm(parts[0], TensorRole::kQueryNorm), norm(parts[1], TensorRole::kKeyNorm), parts[2]}, 1);
}

at::Tensor Transformer::Heads(const at::Tensor& x, int layer, const Pass& pass) const {
  const ComputeWeights::Layer& weights = pass.options.weights->layers[layer];
  at::Tensor qkv = Linear(x, weights.qkv, weights.qkv_bias);
  if (config_.has_qk_norm()) qkv = NormQueriesAndKeys(qkv, layer);
  const AttentionInputs inputs =
      SplitAndRotate(qkv, pass.rope, config_.num_attention_heads, config_.num_key_value_heads);
  return CausalAttention(inputs);
}

at::Tensor Transformer::GatedHidden(const at::Tensor& x, int layer,
                                    const ForwardOptions& options) const {
  GatedActivationCall call;
  call.activation = options.activation;
  call.stream = {options.seed, static_cast<uint32_t>(layer), options.step};
  call.first_row = options.first_row;
  call.l1_scale = options.l1_scale;
  if (!options.stats.empty()) call.stats = &options.stats[layer];
  return options.gated_activation(Linear(x, options.weights->layers[layer].gate_up), call);
}

at::Tensor Transformer::FeedForward(const at::Tensor& x, int layer,
                                    const ForwardOptions& options) const {
  return Linear(GatedHidden(x, layer, options), options.weights->layers[layer].down);
}

NormedSum Transformer::BeforeAttention(const Stream& stream, int layer, const Pass& pass) const {
  const double epsilon = config_.rms_norm_eps;
  const at::Tensor norm = Weight(TensorRole::kInputNorm, layer);
  if (stream.delta.defined()) return AddRmsNorm(stream.x, stream.delta, norm, epsilon);
  return {stream.x, RmsNorm(stream.x, norm, epsilon, pass.type)};
}

NormedSum Transformer::BeforeFeedForward(const at::Tensor& stream, const at::Tensor& heads,
                                         int layer, const ForwardOptions& options) const {
  return AddRmsNorm(stream, Linear(heads, options.weights->layers[layer].attention_output),
                    Weight(TensorRole::kPostAttentionNorm, layer), config_.rms_norm_eps);
}

Transformer::Stream Transformer::Block(const Stream& stream, int layer, const Pass& pass) const {
  const NormedSum at_attention = BeforeAttention(stream, layer, pass);
  const NormedSum at_ffn = BeforeFeedForward(
      at_attention.sum, Heads(at_attention.normed, layer, pass), layer, pass.options);
  const at::Tensor y = FeedForward(at_ffn.normed, layer, pass.options);
  if (pass.options.feed_forward_observer) {
    pass.options.feed_forward_observer(layer, at_ffn.normed, y, at_ffn.sum);
  }
  return {at_ffn.sum, y};
}

// Holds copies: the backward pass comes after this one's end.
Transformer::Stream Transformer::CheckpointedBlock(const Stream& stream, int layer,
                                                   const Pass& pass) const {
  return Checkpointed(stream, [this, layer, pass](const Stream& inputs, bool again) {
    if (!again) return Block(inputs, layer, pass);
    Pass second = pass;
    second.options.stats = {};  // the first one has counted
    return Block(inputs, layer, second);
  });
}

at::Tensor Transformer::Embed(const at::Tensor& ids) const {
  return at::embedding(Weight(TensorRole::kEmbedding, -1), ids.reshape({-1}));
}

Transformer::Pass Transformer::MakePass(int64_t sequence, const ForwardOptions& options) const {
  return {.options = options,
          .rope = MakeRopeTables(sequence),
          .type = ScalarTypeOf(options.compute_type)};
}

at::Tensor Transformer::Heads(const at::Tensor& stream, int64_t sequence, int layer,
                              const ForwardOptions& options) const {
  const Pass pass = MakePass(sequence, options);
  return Heads(BeforeAttention({stream, {}}, layer, pass).normed, layer, pass);
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, const ForwardOptions& options) const {
  const Pass pass = MakePass(ids.size(1), options);
  Stream stream = {Embed(ids), {}};
  // A checkpointed block is recorded where its input is, even when the embedding is not trained.
  if (options.checkpoint_blocks && c10::GradMode::is_enabled()) stream.x.requires_grad_();
  for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
    stream = options.checkpoint_blocks ? CheckpointedBlock(stream, layer, pass)
                                       : Block(stream, layer, pass);
  }
  return AddRmsNorm(stream.x, stream.delta, Weight(TensorRole::kFinalNorm, -1),
                    config_.rms_norm_eps)
      .normed;
}

at::Tensor Transformer::Loss(const at::Tensor& ids, const at::Tensor& targets,
                             const ForwardOptions& options) const {
  ForwardOptions with_weights = options;
  if (!with_weights.weights) with_weights.weights = CastWeights(options.compute_type);
  return MeanCrossEntropy(Hidden(ids, with_weights), with_weights.weights->head,
                          targets.reshape({-1}));
}

}  // namespace stocha
