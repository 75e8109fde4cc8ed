#include "stocha/bench/shape.h"

#include <array>
#include <charconv>
#include <optional>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// D, F, L, H, KV, V: hidden, intermediate, layers, heads, key and value heads, vocabulary.
constexpr size_t kSizes = 6;
using Sizes = std::array<int64_t, kSizes>;

struct NamedShape {
  std::string_view name;
  Sizes sizes;
};
constexpr NamedShape kShapes[] = {
    {"llama-3.2-1b", {2048, 8192, 16, 32, 8, 128256}},
    {"llama-3.2-3b", {3072, 8192, 28, 24, 8, 128256}},
    {"lm1.5b", {2048, 8192, 20, 32, 8, 128256}},
    {"lm3b", {3072, 8192, 26, 24, 8, 128256}},
    {"smollm2-135m", {576, 1536, 30, 9, 3, 49152}},
};

std::optional<Sizes> ParseSizes(std::string_view text) {
  Sizes sizes;
  const char* at = text.data();
  const char* end = at + text.size();
  for (size_t i = 0; i < kSizes; ++i) {
    if (i > 0) {
      if (at == end || *at != ',') return std::nullopt;
      ++at;
    }
    const auto [next, error] = std::from_chars(at, end, sizes[i]);
    if (error != std::errc() || sizes[i] < 1) return std::nullopt;
    at = next;
  }
  if (at != end || sizes[0] % sizes[3] != 0) return std::nullopt;
  return sizes;
}

std::optional<Sizes> FindSizes(std::string_view text) {
  for (const NamedShape& shape : kShapes) {
    if (shape.name == text) return shape.sizes;
  }
  return ParseSizes(text);
}

}  // namespace

ModelConfig ParseShape(std::string_view text, std::string_view where) {
  const std::optional<Sizes> sizes = FindSizes(text);
  if (!sizes) {
    throw UsageError({.where = std::string(where),
                      .what = "unknown shape",
                      .got = "\"" + std::string(text) + "\"",
                      .expected = ShapeNames() +
                                  " or D,F,L,H,KV,V (hidden, FFN, layers, heads, KV heads, "
                                  "vocabulary; H divides D)"});
  }
  const auto [hidden, intermediate, layers, heads, kv_heads, vocabulary] = *sizes;
  ModelConfig config = {.vocab_size = vocabulary,
                        .hidden_size = hidden,
                        .intermediate_size = intermediate,
                        .num_hidden_layers = layers,
                        .num_attention_heads = heads,
                        .num_key_value_heads = kv_heads,
                        .head_dim = hidden / heads,
                        .max_position_embeddings = 131072,
                        .rope_theta = 500000,
                        .tie_word_embeddings = true,
                        .activation = {.kind = ActivationKind::kRelu}};
  try {
    ValidateModelConfig(config, where);
  } catch (const Error& error) {
    throw UsageError({.what = error.what()});
  }
  return config;
}

std::string ShapeNames() {
  std::string names;
  for (const NamedShape& shape : kShapes) {
    names += (names.empty() ? "" : ", ") + std::string(shape.name);
  }
  return names;
}

}  // namespace stocha
