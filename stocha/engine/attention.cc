#include "stocha/engine/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "stocha/engine/project.h"

namespace stocha {
namespace {

const float* DataOrNull(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

// RMSNorm over each head (when there is one), then Hugging Face's half rotation: element i turns
// with element i + head_dim / 2. heads: [count, head_dim].
void NormAndRotate(const ModelConfig& config, const std::vector<float>& norm, const float* rope,
                   int64_t count, const KernelTable& kernels, float* heads) {
  const int64_t dim = config.head_dim;
  const int64_t half = dim / 2;
  for (int64_t h = 0; h < count; ++h) {
    float* head = heads + h * dim;
    if (!norm.empty()) {
      const auto epsilon = static_cast<float>(config.rms_norm_eps);
      kernels.rms_norm(head, norm.data(), epsilon, dim, head);
    }
    for (int64_t i = 0; i < half; ++i) {
      const float a = head[i];
      const float b = head[i + half];
      head[i] = a * rope[i] - b * rope[half + i];
      head[i + half] = b * rope[i] + a * rope[half + i];
    }
  }
}

// Token `t`'s query, key and value, as projected, become what attention reads.
void PrepareToken(const ModelConfig& config, const LayerWeights& weights, int layer,
                  const Token& token, int64_t t, const Workspace& ws) {
  const int64_t dim = config.head_dim;
  const float* rope = ws.rope.data() + t * dim;
  float* query = ws.query.data() + t * config.q_size();  // [heads, head_dim]
  float* key = ws.key.data() + t * config.kv_size();     // [kv_heads, head_dim]
  const float* value = ws.value.data() + t * config.kv_size();
  NormAndRotate(config, weights.query_norm, rope, config.num_attention_heads, ws.kernels, query);
  NormAndRotate(config, weights.key_norm, rope, config.num_key_value_heads, ws.kernels, key);
  // Here once, rather than on every score.
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
  for (int64_t i = 0; i < config.q_size(); ++i) query[i] *= scale;
  for (int64_t h = 0; h < config.num_key_value_heads; ++h) {
    std::copy_n(key + h * dim, dim, token.cache->Key(layer, h, token.position));
    std::copy_n(value + h * dim, dim, token.cache->Value(layer, h, token.position));
  }
}

// The query heads of one token that share a key-value head. query, out: [group, head_dim]; scores:
// [group, positions], then [group]. Sums run over positions in rising order, so it does not matter
// how many tokens came at once.
void Attend(const KernelTable& kernels, const Rows<const float>& keys,
            const Rows<const float>& values, int64_t group, int64_t head_dim, const float* query,
            float* scores, float* out) {
  const int64_t positions = keys.count;
  float* sums = scores + group * positions;
  kernels.f32.dot(keys, {.data = query, .stride = head_dim, .count = group}, head_dim, scores,
                  positions);
  for (int64_t h = 0; h < group; ++h) {
    float* row = scores + h * positions;
    sums[h] = kernels.exp_sum(row, kernels.max(row, positions), positions, row);
  }
  std::fill_n(out, group * head_dim, 0.0F);
  kernels.f32.axpy(values, scores, positions, {.data = out, .stride = head_dim, .count = group},
                   head_dim);
  for (int64_t h = 0; h < group; ++h) {
    for (int64_t i = 0; i < head_dim; ++i) out[h * head_dim + i] /= sums[h];
  }
}

}  // namespace

void PrepareRope(const std::vector<double>& inverse_frequencies, std::span<const Token> tokens,
                 Workspace& workspace) {
  const size_t half = inverse_frequencies.size();
  float* out = workspace.rope.data();
  for (const Token& token : tokens) {
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(token.position) * inverse_frequencies[i];
      out[i] = static_cast<float>(std::cos(angle));
      out[half + i] = static_cast<float>(std::sin(angle));
    }
    out += 2 * half;
  }
}

void Attention(const ModelConfig& config, const LayerWeights& weights, int layer,
               std::span<const Token> tokens, Workspace& ws) {
  const auto count = static_cast<int64_t>(tokens.size());
  Project(
      std::array<Projection, 3>{
          {{&weights.query, DataOrNull(weights.query_bias), ws.query.data()},
           {&weights.key, DataOrNull(weights.key_bias), ws.key.data()},
           {&weights.value, DataOrNull(weights.value_bias), ws.value.data()}}},
      ws.Normed(count), ws.kernels, *ws.pool);

  // Every key of this pass must be in its cache before the first token attends.
  ws.pool->ParallelFor(static_cast<int>(count),
                       [&](int t, int) { PrepareToken(config, weights, layer, tokens[t], t, ws); });

  const int64_t dim = config.head_dim;
  const int64_t kv_heads = config.num_key_value_heads;
  const int64_t group = config.num_attention_heads / kv_heads;
  int64_t longest = 0;
  for (const Token& token : tokens) longest = std::max(longest, token.position + 1);
  for (std::vector<float>& scores : ws.scores) {
    const auto needed = static_cast<size_t>(group * (longest + 1));
    if (scores.size() < needed) scores.resize(needed);
  }
  ws.pool->ParallelFor(static_cast<int>(count * kv_heads), [&](int task, int thread) {
    const int64_t t = task / kv_heads;
    const int64_t head = task % kv_heads;
    const KvCache& cache = *tokens[t].cache;
    const int64_t positions = tokens[t].position + 1;
    const int64_t first = t * config.q_size() + head * group * dim;
    Attend(ws.kernels, {.data = cache.Key(layer, head, 0), .stride = dim, .count = positions},
           {.data = cache.Value(layer, head, 0), .stride = dim, .count = positions}, group, dim,
           ws.query.data() + first, ws.scores[thread].data(), ws.attention.data() + first);
  });

  if (IsPacked(weights.attention_output.type)) ws.EncodeAttention(count);
  Project(std::array<Projection, 1>{{{&weights.attention_output, nullptr, ws.delta.data()}}},
          ws.Attended(count), ws.kernels, *ws.pool);
  for (const Matrix* matrix :
       {&weights.query, &weights.key, &weights.value, &weights.attention_output}) {
    ws.other_bytes += matrix->rows * matrix->RowBytes();
  }
}

}  // namespace stocha
