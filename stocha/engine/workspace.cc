#include "stocha/engine/workspace.h"

#include <algorithm>
#include <string>

#include "stocha/base/error.h"

namespace stocha {

FfnMode ParseFfnMode(std::string_view text, std::string_view where) {
  if (text == "auto") return FfnMode::kAuto;
  if (text == "dense") return FfnMode::kDense;
  if (text == "exact") return FfnMode::kExact;
  if (text == "screened") return FfnMode::kScreened;
  throw UsageError({.where = std::string(where),
                    .what = "unknown mode",
                    .got = "\"" + std::string(text) + "\"",
                    .expected = "auto, dense, exact or screened"});
}

PrefillMode ParsePrefillMode(std::string_view text, std::string_view where) {
  if (text == "exact") return PrefillMode::kExact;
  if (text == "fast") return PrefillMode::kFast;
  throw UsageError({.where = std::string(where),
                    .what = "unknown mode",
                    .got = "\"" + std::string(text) + "\"",
                    .expected = "exact or fast"});
}

namespace {

bool MayBeFast(const Workspace::Options& options) {
  return options.prefill == PrefillMode::kFast && Kernels(options.isa).tiles != nullptr;
}

// Of the parts of a feed-forward layer's output, of any pass.
int64_t FfnPartTokens(const ModelConfig& config, int64_t pass_tokens) {
  const int64_t exact = NeuronBlocks(config) * kPassTokens;
  return pass_tokens == kPassTokens ? exact : std::max(exact, FastParts(config) * pass_tokens);
}

void Pack(const Workspace& ws, const Buffer<float>& from, int64_t tokens, Buffer<uint16_t>* to) {
  const int64_t n = from.size() / ws.pass_tokens;
  const auto groups = static_cast<int>((tokens + 15) / 16);
  ws.pool->ParallelFor(groups, [&](int group, int) {
    ws.kernels.tiles->pack({.data = from.data(), .stride = n, .count = tokens}, n, group,
                           to->data());
  });
}

void Encode(const Workspace& ws, const Buffer<float>& from, int64_t tokens, QuantizedBuffer* bytes,
            Buffer<uint16_t>* tiles) {
  if (ws.fast_pass) return Pack(ws, from, tokens, tiles);
  const int64_t n = from.size() / ws.pass_tokens;
  ws.pool->ParallelFor(static_cast<int>(tokens),
                       [&](int t, int) { bytes->Set(ws.kernels, t, from.data() + t * n); });
}

Input InputOf(const Workspace& ws, const Buffer<float>& vectors, const QuantizedBuffer& bytes,
              const Buffer<uint16_t>& tiles, int64_t tokens) {
  const int64_t n = vectors.size() / ws.pass_tokens;
  Input input = {.x = {.data = vectors.data(), .stride = n, .count = tokens},
                 .quantized = bytes.Vectors(tokens),
                 .fine = bytes.FineVectors(tokens)};
  if (ws.fast_pass) input.tiles = {.values = tiles.data(), .n = n, .count = tokens};
  return input;
}

}  // namespace

Workspace::Workspace(const ModelConfig& config, ThreadPool* threads, const Options& options)
    : kernels(Kernels(options.isa)),
      pool(threads),
      ffn_mode(options.ffn_mode),
      screen_width(options.screen_width),
      pass_tokens(MayBeFast(options) ? kFastPassTokens : kPassTokens),
      stats(static_cast<size_t>(config.num_hidden_layers)),
      last_fraction(static_cast<size_t>(config.num_hidden_layers), 0),
      x(pass_tokens * config.hidden_size),
      normed(pass_tokens * config.hidden_size),
      delta(pass_tokens * config.hidden_size),
      query(pass_tokens * config.q_size()),
      key(pass_tokens * config.kv_size()),
      value(pass_tokens * config.kv_size()),
      attention(pass_tokens * config.q_size()),
      normed_bytes(pass_tokens, config.hidden_size, options.depth),
      attention_bytes(pass_tokens, config.q_size(), options.depth),
      normed_tiles(MayBeFast(options) ? pass_tokens * config.hidden_size : 0),
      attention_tiles(MayBeFast(options) ? pass_tokens * config.q_size() : 0),
      hidden_tiles(MayBeFast(options) ? pass_tokens * config.intermediate_size : 0),
      hidden(pass_tokens * config.intermediate_size),
      hidden_bytes(pass_tokens, config.intermediate_size, options.depth),
      rope(pass_tokens * config.head_dim),
      ffn_blocks(FfnPartTokens(config, pass_tokens) * config.hidden_size),
      logits(pass_tokens * config.vocab_size),
      fired(static_cast<size_t>(NeuronBlocks(config))),
      rows_read(static_cast<size_t>(NeuronBlocks(config))),
      bytes(static_cast<size_t>(NeuronBlocks(config))),
      scores(static_cast<size_t>(threads->num_threads())) {}

void Workspace::PackNormed(int64_t tokens) { Pack(*this, normed, tokens, &normed_tiles); }

void Workspace::EncodeAttention(int64_t tokens) {
  Encode(*this, attention, tokens, &attention_bytes, &attention_tiles);
}

void Workspace::EncodeHidden(int64_t tokens) {
  Encode(*this, hidden, tokens, &hidden_bytes, &hidden_tiles);
}

Input Workspace::Normed(int64_t tokens) const {
  return InputOf(*this, normed, normed_bytes, normed_tiles, tokens);
}

Input Workspace::Attended(int64_t tokens) const {
  return InputOf(*this, attention, attention_bytes, attention_tiles, tokens);
}

Input Workspace::Hidden(int64_t tokens) const {
  return InputOf(*this, hidden, hidden_bytes, hidden_tiles, tokens);
}

}  // namespace stocha
