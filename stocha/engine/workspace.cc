#include "stocha/engine/workspace.h"

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

Workspace::Workspace(const ModelConfig& config, ThreadPool* threads, const Options& options)
    : kernels(Kernels(options.isa)),
      pool(threads),
      ffn_mode(options.ffn_mode),
      screen_width(options.screen_width),
      stats(static_cast<size_t>(config.num_hidden_layers)),
      last_fraction(static_cast<size_t>(config.num_hidden_layers), 0),
      x(kPassTokens * config.hidden_size),
      normed(kPassTokens * config.hidden_size),
      delta(kPassTokens * config.hidden_size),
      query(kPassTokens * config.q_size()),
      key(kPassTokens * config.kv_size()),
      value(kPassTokens * config.kv_size()),
      attention(kPassTokens * config.q_size()),
      normed_bytes(kPassTokens, config.hidden_size, options.depth),
      attention_bytes(kPassTokens, config.q_size(), options.depth),
      hidden(kPassTokens * config.intermediate_size),
      hidden_bytes(kPassTokens, config.intermediate_size, options.depth),
      rope(kPassTokens * config.head_dim),
      ffn_blocks(NeuronBlocks(config) * kPassTokens * config.hidden_size),
      logits(kPassTokens * config.vocab_size),
      fired(static_cast<size_t>(NeuronBlocks(config))),
      rows_read(static_cast<size_t>(NeuronBlocks(config))),
      bytes(static_cast<size_t>(NeuronBlocks(config))),
      scores(static_cast<size_t>(threads->num_threads())) {}

Input Workspace::Normed(int64_t tokens) const {
  return {.x = {.data = normed.data(), .stride = normed.size() / kPassTokens, .count = tokens},
          .quantized = normed_bytes.Vectors(tokens),
          .fine = normed_bytes.FineVectors(tokens)};
}

Input Workspace::Attended(int64_t tokens) const {
  return {
      .x = {.data = attention.data(), .stride = attention.size() / kPassTokens, .count = tokens},
      .quantized = attention_bytes.Vectors(tokens),
      .fine = attention_bytes.FineVectors(tokens)};
}

Input Workspace::Hidden(int64_t tokens) const {
  return {.x = {.data = hidden.data(), .stride = hidden.size() / kPassTokens, .count = tokens},
          .quantized = hidden_bytes.Vectors(tokens),
          .fine = hidden_bytes.FineVectors(tokens)};
}

}  // namespace stocha
