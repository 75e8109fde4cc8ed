#include "stocha/engine/model.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/memory.h"
#include "stocha/engine/attention.h"
#include "stocha/engine/ffn.h"
#include "stocha/engine/packed_model.h"
#include "stocha/engine/project.h"
#include "stocha/model/checkpoint.h"

namespace stocha {
namespace {

void CheckStep(const Step& step, const ModelConfig& config) {
  for (const int32_t id : step.tokens) {
    if (id >= 0 && id < config.vocab_size) continue;
    throw Error({.where = "tokens",
                 .what = "id outside the vocabulary",
                 .got = std::to_string(id),
                 .expected = "0 to " + std::to_string(config.vocab_size - 1)});
  }
  const int64_t end = step.cache->length() + static_cast<int64_t>(step.tokens.size());
  if (step.tokens.empty() || end > step.cache->capacity()) {
    throw Error({.where = "context",
                 .what = "cannot add " + std::to_string(step.tokens.size()) + " tokens to " +
                         std::to_string(step.cache->length()),
                 .expected = "1 token or more, at most " + std::to_string(step.cache->capacity()) +
                             " in all"});
  }
}

std::vector<Token> Flatten(std::span<const Step> steps, const ModelConfig& config) {
  std::vector<Token> tokens;
  std::set<const KvCache*> caches;
  for (const Step& step : steps) {
    CheckStep(step, config);
    if (!caches.insert(step.cache).second) {
      throw Error({.where = "context", .what = "two steps of one pass share a cache"});
    }
    for (size_t i = 0; i < step.tokens.size(); ++i) {
      Token token = {.id = step.tokens[i],
                     .cache = step.cache,
                     .position = step.cache->length() + static_cast<int64_t>(i),
                     .activation = step.activation,
                     .seed = step.seed};
      if (step.wanted == LogitsWanted::kAll) {
        token.logits = step.logits + static_cast<int64_t>(i) * config.vocab_size;
      } else if (step.wanted == LogitsWanted::kLast && i + 1 == step.tokens.size()) {
        token.logits = step.logits;
      }
      tokens.push_back(token);
    }
  }
  return tokens;
}

void ReadMatrixAhead(const Matrix& matrix) {
  if (!IsPacked(matrix.type)) return;
  const auto rows = static_cast<size_t>(matrix.rows);
  ReadAhead(
      {static_cast<const std::byte*>(matrix.data), rows * static_cast<size_t>(matrix.stride)});
  if (matrix.low == nullptr) return;
  ReadAhead(
      {static_cast<const std::byte*>(matrix.low), rows * static_cast<size_t>(matrix.low_stride)});
}

// Asks for what every token reads of a layer, all but its neurons, in one piece: where memory is
// short the system takes a page at a time otherwise.
void ReadLayerAhead(const LayerWeights& layer) {
  for (const Matrix* matrix :
       {&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.gate}) {
    ReadMatrixAhead(*matrix);
  }
}

}  // namespace

Model Model::Load(const std::filesystem::path& path, ThreadPool& pool) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    auto packed = std::make_shared<PackedModelFile>(PackedModelFile::Open(path));
    Model model(packed->model.header.config, std::move(packed->model.weights));
    model.mapping_ = std::move(packed);
    return model;
  }
  auto checkpoint = std::make_shared<const Checkpoint>(OpenCheckpoint(path));
  Model model(
      checkpoint->config,
      [&](const TensorSpec& spec) -> const TensorView& { return checkpoint->Get(spec); },
      path.string(), pool);
  model.mapping_ = std::move(checkpoint);
  return model;
}

Model::Model(const ModelConfig& config, const TensorSource& source, const std::string& where,
             ThreadPool& pool)
    : Model(config, LoadWeights(config, source, where, pool)) {}

Model::Model(const ModelConfig& config, Weights weights)
    : config_(config),
      weights_(std::move(weights)),
      packed_(weights_.packed()),
      fit_tiles_(weights_.fit_tiles()),
      inverse_frequencies_(RopeInverseFrequencies(config)) {
  SetThresholds(config.thresholds);
}

void Model::SetThresholds(std::vector<float> thresholds) {
  config_.thresholds = std::move(thresholds);
  for (size_t l = 0; l < weights_.layers.size(); ++l) {
    weights_.layers[l].threshold = config_.thresholds.empty() ? 0 : config_.thresholds[l];
  }
}

void Model::Forward(std::span<const Step> steps, Workspace& workspace) const {
  const std::vector<Token> tokens = Flatten(steps, config_);
  const auto most = static_cast<size_t>(fit_tiles_ ? workspace.pass_tokens : kPassTokens);
  for (size_t begin = 0; begin < tokens.size(); begin += most) {
    const size_t count = std::min(most, tokens.size() - begin);
    RunPass(std::span(tokens).subspan(begin, count), workspace);
  }
  for (const Step& step : steps) step.cache->Advance(static_cast<int64_t>(step.tokens.size()));
}

void Model::RunPass(std::span<const Token> tokens, Workspace& ws) const {
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t hidden = config_.hidden_size;
  const auto epsilon = static_cast<float>(config_.rms_norm_eps);
  ws.fast_pass = packed_ && fit_tiles_ && ws.normed_tiles.size() > 0 && count >= kLeastFastTokens;
  // normed[t] = RMSNorm(x[t] after `update`).
  const auto update_and_norm = [&](const std::vector<float>& weight, const auto& update) {
    ws.pool->ParallelFor(static_cast<int>(count), [&](int t, int) {
      float* x = ws.x.data() + t * hidden;
      update(t, x);
      float* normed = ws.normed.data() + t * hidden;
      ws.kernels.rms_norm(x, weight.data(), epsilon, hidden, normed);
      if (packed_ && !ws.fast_pass) ws.normed_bytes.Set(ws.kernels, t, normed);
    });
    if (ws.fast_pass) ws.PackNormed(count);
  };
  const auto embed = [&](int t, float* x) { UnpackMatrixRow(weights_.embedding, tokens[t].id, x); };
  const auto add_attention = [&](int t, float* x) {
    const float* delta = ws.delta.data() + t * hidden;
    for (int64_t i = 0; i < hidden; ++i) x[i] += delta[i];
  };
  const auto add_ffn = [&](int t, float* x) { AddFfnOutput(ws, t, hidden, x); };

  PrepareRope(inverse_frequencies_, tokens, ws);
  update_and_norm(weights_.layers.front().input_norm, embed);
  for (size_t l = 0; l < weights_.layers.size(); ++l) {
    const LayerWeights& layer = weights_.layers[l];
    if (layer.on_disk) ReadLayerAhead(layer);
    Attention(config_, layer, static_cast<int>(l), tokens, ws);
    update_and_norm(layer.post_attention_norm, add_attention);
    if (ws.on_ffn_input) ws.on_ffn_input(static_cast<int>(l), count);
    Ffn(layer, static_cast<int>(l), tokens, ws);
    const bool last = l + 1 == weights_.layers.size();
    update_and_norm(last ? weights_.final_norm : weights_.layers[l + 1].input_norm, add_ffn);
  }
  RunHead(tokens, ws);
}

void Model::RunHead(std::span<const Token> tokens, Workspace& ws) const {
  // The tokens whose logits are wanted, moved to the front.
  const int64_t hidden = config_.hidden_size;
  std::vector<float*> wanted;
  for (size_t t = 0; t < tokens.size(); ++t) {
    if (tokens[t].logits == nullptr) continue;
    const float* from = ws.normed.data() + static_cast<int64_t>(t) * hidden;
    float* to = ws.normed.data() + static_cast<int64_t>(wanted.size()) * hidden;
    if (to != from) std::copy_n(from, hidden, to);
    if (packed_ && (to != from || ws.fast_pass)) {
      ws.normed_bytes.Set(ws.kernels, static_cast<int64_t>(wanted.size()), to);
    }
    wanted.push_back(tokens[t].logits);
  }
  ws.fast_pass = false;  // not of the head: mostly of one token, and in formats that have no tiles
  if (wanted.empty()) return;
  if (weights_.layers.back().on_disk) ReadMatrixAhead(weights_.head);
  Project(std::array<Projection, 1>{{{&weights_.head, nullptr, ws.logits.data()}}},
          ws.Normed(static_cast<int64_t>(wanted.size())), ws.kernels, *ws.pool);
  ws.other_bytes += weights_.head.rows * weights_.head.RowBytes();
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::copy_n(ws.logits.data() + static_cast<int64_t>(i) * config_.vocab_size, config_.vocab_size,
                wanted[i]);
  }
}

}  // namespace stocha
