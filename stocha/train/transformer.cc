#include "stocha/train/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sin.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <utility>

namespace stocha {
namespace {

constexpr int kNumRoles = static_cast<int>(TensorRole::kHead) + 1;

at::ScalarType ScalarTypeOf(ComputeType type) {
  return type == ComputeType::kBF16 ? at::kBFloat16 : at::kFloat;
}

// x: [..., n], any type; weight: [n], f32. Computed in f32; returns `type`.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                   at::ScalarType type) {
  RECORD_USER_SCOPE("norms");
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor mean_square = at::mean(wide * wide, /*dim=*/-1, /*keepdim=*/true);
  return (wide * at::rsqrt(mean_square + epsilon) * weight).to(type);
}

// x: [tokens, in] of the compute type; weight: [out, in], bias: [out] or undefined, both f32.
// Casting inside autograd keeps the master weights, and their gradients, in f32.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {}) {
  return at::linear(x, weight.to(x.scalar_type()),
                    bias.defined() ? bias.to(x.scalar_type()) : at::Tensor());
}

// Half rotation in f32. x: [batch, sequence, heads, head_dim]; cos, sin: [sequence, 1, head_dim /
// 2].
at::Tensor Rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  RECORD_USER_SCOPE("rotary");
  const int64_t half = x.size(3) / 2;
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor first = wide.narrow(3, 0, half);
  const at::Tensor second = wide.narrow(3, half, half);
  return at::cat({first * cos - second * sin, second * cos + first * sin}, 3).to(x.scalar_type());
}

// [batch, heads, sequence, head_dim], each key or value head repeated for the queries that share
// it.
at::Tensor HeadsFirst(const at::Tensor& x, int64_t repeat) {
  const at::Tensor heads_first = x.transpose(1, 2);
  return repeat == 1 ? heads_first : heads_first.repeat_interleave(repeat, 1);
}

// q: [batch, sequence, heads, head_dim], k, v: of heads / repeat heads. Returns [tokens, q_size].
at::Tensor Mix(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t repeat) {
  RECORD_USER_SCOPE("attention");
  const at::Tensor mixed = at::scaled_dot_product_attention(
      HeadsFirst(q, 1), HeadsFirst(k, repeat), HeadsFirst(v, repeat), /*attn_mask=*/{},
      /*dropout_p=*/0.0, /*is_causal=*/true);
  return mixed.transpose(1, 2).reshape({q.size(0) * q.size(1), q.size(2) * q.size(3)});
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

// The angle is rounded to f32 before its cosine is taken, as transformers has it.
Transformer::Rope Transformer::RopeTables(int64_t sequence) const {
  const at::Tensor angles =
      at::outer(at::arange(sequence, at::kFloat), inverse_frequencies_).unsqueeze(1);
  return {at::cos(angles), at::sin(angles)};
}

// x: [tokens, hidden_size] of the compute type, normed. Returns the same shape.
at::Tensor Transformer::Attention(const at::Tensor& x, const Rope& rope, int layer) const {
  const int64_t sequence = rope.cos.size(0);
  const int64_t batch = x.size(0) / sequence;
  const auto project = [&](TensorRole weight, TensorRole bias, int64_t heads) {
    return Linear(x, Weight(weight, layer), Weight(bias, layer))
        .view({batch, sequence, heads, config_.head_dim});
  };
  at::Tensor q = project(TensorRole::kQuery, TensorRole::kQueryBias, config_.num_attention_heads);
  at::Tensor k = project(TensorRole::kKey, TensorRole::kKeyBias, config_.num_key_value_heads);
  const at::Tensor v =
      project(TensorRole::kValue, TensorRole::kValueBias, config_.num_key_value_heads);
  if (config_.has_qk_norm()) {
    q = RmsNorm(q, Weight(TensorRole::kQueryNorm, layer), config_.rms_norm_eps, q.scalar_type());
    k = RmsNorm(k, Weight(TensorRole::kKeyNorm, layer), config_.rms_norm_eps, k.scalar_type());
  }
  const int64_t repeat = config_.num_attention_heads / config_.num_key_value_heads;
  const at::Tensor mixed =
      Mix(Rotate(q, rope.cos, rope.sin), Rotate(k, rope.cos, rope.sin), v, repeat);
  return Linear(mixed, Weight(TensorRole::kAttentionOutput, layer));
}

// x: [tokens, hidden_size] of the compute type, normed. Returns the same shape.
at::Tensor Transformer::FeedForward(const at::Tensor& x, int layer,
                                    const ForwardOptions& options) const {
  GatedActivationCall call;
  call.activation = options.activation;
  call.stream = {options.seed, static_cast<uint32_t>(layer), options.step};
  call.first_row = options.first_row;
  call.l1_scale = options.l1_scale;
  if (!options.stats.empty()) call.stats = &options.stats[layer];
  const at::Tensor gate = Linear(x, Weight(TensorRole::kGate, layer));
  const at::Tensor up = Linear(x, Weight(TensorRole::kUp, layer));
  const at::Tensor hidden = [&] {
    RECORD_USER_SCOPE("activation");
    return options.gated_activation(gate, up, call);
  }();
  return Linear(hidden, Weight(TensorRole::kDown, layer));
}

at::Tensor Transformer::Logits(const at::Tensor& ids, const ForwardOptions& options) const {
  const at::ScalarType type = ScalarTypeOf(options.compute_type);
  const double epsilon = config_.rms_norm_eps;
  const Rope rope = RopeTables(ids.size(1));
  const at::Tensor embedding = Weight(TensorRole::kEmbedding, -1);
  // The residual stream stays in f32: [tokens, hidden_size].
  at::Tensor x = at::embedding(embedding, ids.reshape({-1}));
  for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
    x = x +
        Attention(RmsNorm(x, Weight(TensorRole::kInputNorm, layer), epsilon, type), rope, layer);
    x = x + FeedForward(RmsNorm(x, Weight(TensorRole::kPostAttentionNorm, layer), epsilon, type),
                        layer, options);
  }
  const at::Tensor head = Weight(TensorRole::kHead, -1);
  return Linear(RmsNorm(x, Weight(TensorRole::kFinalNorm, -1), epsilon, type),
                head.defined() ? head : embedding);
}

at::Tensor Transformer::Loss(const at::Tensor& ids, const at::Tensor& targets,
                             const ForwardOptions& options) const {
  const at::Tensor logits = Logits(ids, options);
  RECORD_USER_SCOPE("loss");
  return at::cross_entropy_loss(logits.to(at::kFloat), targets.reshape({-1}));
}

}  // namespace stocha
