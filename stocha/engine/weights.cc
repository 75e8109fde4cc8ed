#include "stocha/engine/weights.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace stocha {
namespace {

constexpr int64_t kRowAlignment = 64;  // bytes: a cache line
constexpr int64_t kPackTile = 16;      // neurons and columns transposed together

bool UsableInPlace(const TensorView& tensor) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.bytes.data());
  return (tensor.dtype == DType::kF32 || tensor.dtype == DType::kBF16) &&
         address % DTypeSize(tensor.dtype) == 0;
}

WeightType TypeOf(DType dtype) {
  return dtype == DType::kBF16 ? WeightType::kBF16 : WeightType::kF32;
}

int64_t PaddedRowBytes(int64_t cols, DType dtype) {
  const int64_t bytes = cols * static_cast<int64_t>(DTypeSize(dtype));
  return (bytes + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
}

// Neuron i of `packed`: up[i, :], padded, then down[:, i], padded. Elements are copied as they are,
// `size` bytes each.
template <typename T>
void PackNeurons(const std::byte* up, const std::byte* down, int64_t neurons, int64_t hidden,
                 int64_t row_bytes, std::byte* packed, ThreadPool& pool) {
  const auto tasks = static_cast<int>((neurons + kPackTile - 1) / kPackTile);
  pool.ParallelFor(tasks, [&](int task, int) {
    const int64_t first = task * kPackTile;
    const int64_t last = std::min(first + kPackTile, neurons);
    for (int64_t i = first; i < last; ++i) {
      std::byte* row = packed + i * 2 * row_bytes;
      std::memset(row, 0, static_cast<size_t>(2 * row_bytes));
      std::memcpy(row, up + i * hidden * sizeof(T), static_cast<size_t>(hidden) * sizeof(T));
    }
    for (int64_t c0 = 0; c0 < hidden; c0 += kPackTile) {
      const int64_t c1 = std::min(c0 + kPackTile, hidden);
      for (int64_t i = first; i < last; ++i) {
        std::byte* row = packed + (i * 2 + 1) * row_bytes;
        for (int64_t c = c0; c < c1; ++c) {
          std::memcpy(row + c * sizeof(T), down + (c * neurons + i) * sizeof(T), sizeof(T));
        }
      }
    }
  });
}

class Loader {
 public:
  Loader(const ModelConfig& config, std::string where, ThreadPool& pool)
      : config_(config), where_(std::move(where)), pool_(pool) {
    weights_.layers.resize(static_cast<size_t>(config.num_hidden_layers));
  }

  void Add(const TensorSpec& spec, const TensorView& tensor) {
    LayerWeights* layer = spec.layer < 0 ? nullptr : &weights_.layers[spec.layer];
    const std::string where = where_ + ": " + spec.name;
    if (spec.role == TensorRole::kUp) {
      up_ = &tensor;  // packed when its down comes, the next in the list
    } else if (spec.role == TensorRole::kDown) {
      Pack(*up_, tensor, where, layer);
    } else if (Matrix* matrix = MatrixOf(weights_, spec)) {
      *matrix = View(tensor, where);
      // An untied head comes later in the list and replaces this.
      if (spec.role == TensorRole::kEmbedding) weights_.head = *matrix;
    } else if (std::vector<float>* vector = VectorOf(weights_, spec)) {
      *vector = ToFloat32(tensor, where);
    }
  }

  Weights Take() { return std::move(weights_); }

 private:
  Matrix View(const TensorView& tensor, const std::string& where) {
    Matrix matrix = {.rows = tensor.shape[0], .cols = tensor.shape[1], .stride = tensor.shape[1]};
    if (UsableInPlace(tensor)) {
      matrix.type = TypeOf(tensor.dtype);
      matrix.data = tensor.bytes.data();
    } else {
      RequireMemory(tensor.num_elements() * 4, AvailableMemory(), where_, "a copy in F32");
      weights_.widened.push_back(ToFloat32(tensor, where));
      matrix.data = weights_.widened.back().data();
    }
    return matrix;
  }

  void Pack(const TensorView& up, const TensorView& down, const std::string& where,
            LayerWeights* layer) {
    const int64_t neurons = config_.intermediate_size;
    const int64_t hidden = config_.hidden_size;
    const bool keep_bf16 = up.dtype == DType::kBF16 && down.dtype == DType::kBF16;
    const DType dtype = keep_bf16 ? DType::kBF16 : DType::kF32;
    const int64_t row_bytes = PaddedRowBytes(hidden, dtype);
    layer->neurons = Buffer<std::byte>(neurons * 2 * row_bytes);
    std::byte* packed = layer->neurons.data();
    if (keep_bf16) {
      PackNeurons<uint16_t>(up.bytes.data(), down.bytes.data(), neurons, hidden, row_bytes, packed,
                            pool_);
    } else {
      const bool as_they_are = up.dtype == DType::kF32 && down.dtype == DType::kF32;
      const std::vector<float> wide_up = as_they_are ? std::vector<float>() : ToFloat32(up, where);
      const std::vector<float> wide_down =
          as_they_are ? std::vector<float>() : ToFloat32(down, where);
      PackNeurons<float>(
          as_they_are ? up.bytes.data() : std::as_bytes(std::span(wide_up)).data(),
          as_they_are ? down.bytes.data() : std::as_bytes(std::span(wide_down)).data(), neurons,
          hidden, row_bytes, packed, pool_);
    }
    const int64_t stride = 2 * row_bytes / static_cast<int64_t>(DTypeSize(dtype));
    layer->up = {
        .type = TypeOf(dtype), .data = packed, .rows = neurons, .cols = hidden, .stride = stride};
    layer->down = layer->up;
    layer->down.data = packed + row_bytes;
  }

  const ModelConfig& config_;
  std::string where_;
  ThreadPool& pool_;
  const TensorView* up_ = nullptr;
  Weights weights_;
};

// Of the repacked up and down rows of all layers.
int64_t PackedBytes(const ModelConfig& config, const TensorSource& source) {
  int64_t bytes = 0;
  for (const TensorSpec& spec : ListTensors(config)) {
    if (spec.role != TensorRole::kUp) continue;
    const DType dtype = source(spec).dtype == DType::kBF16 ? DType::kBF16 : DType::kF32;
    bytes += 2 * config.intermediate_size * PaddedRowBytes(config.hidden_size, dtype);
  }
  return bytes;
}

}  // namespace

bool Weights::packed() const {
  const auto any = [](const LayerWeights& layer) {
    return IsPacked(layer.query.type) || IsPacked(layer.key.type) || IsPacked(layer.value.type) ||
           IsPacked(layer.attention_output.type) || IsPacked(layer.gate.type) ||
           IsPacked(layer.up.type) || IsPacked(layer.down.type);
  };
  return IsPacked(head.type) || std::ranges::any_of(layers, any);
}

bool Weights::fit_tiles() const {
  return std::ranges::all_of(layers, [](const LayerWeights& layer) {
    if (layer.layout == FfnLayout::kNeurons && !IsPacked(layer.down.type)) return false;
    const Matrix* matrices[] = {&layer.query, &layer.key, &layer.value, &layer.attention_output,
                                &layer.gate,  &layer.up,  &layer.down};
    return std::ranges::none_of(
        matrices, [](const Matrix* matrix) { return matrix->type == WeightType::kQ6_K; });
  });
}

Matrix* MatrixOf(Weights& weights, const TensorSpec& spec) {
  LayerWeights* layer = spec.layer < 0 ? nullptr : &weights.layers[spec.layer];
  switch (spec.role) {
    case TensorRole::kEmbedding:
      return &weights.embedding;
    case TensorRole::kHead:
      return &weights.head;
    case TensorRole::kQuery:
      return &layer->query;
    case TensorRole::kKey:
      return &layer->key;
    case TensorRole::kValue:
      return &layer->value;
    case TensorRole::kAttentionOutput:
      return &layer->attention_output;
    case TensorRole::kGate:
      return &layer->gate;
    case TensorRole::kUp:
      return &layer->up;
    case TensorRole::kDown:
      return &layer->down;
    default:
      return nullptr;
  }
}

const Matrix* MatrixOf(const Weights& weights, const TensorSpec& spec) {
  return MatrixOf(const_cast<Weights&>(weights), spec);
}

std::vector<float>* VectorOf(Weights& weights, const TensorSpec& spec) {
  LayerWeights* layer = spec.layer < 0 ? nullptr : &weights.layers[spec.layer];
  switch (spec.role) {
    case TensorRole::kFinalNorm:
      return &weights.final_norm;
    case TensorRole::kInputNorm:
      return &layer->input_norm;
    case TensorRole::kPostAttentionNorm:
      return &layer->post_attention_norm;
    case TensorRole::kQueryNorm:
      return &layer->query_norm;
    case TensorRole::kKeyNorm:
      return &layer->key_norm;
    case TensorRole::kQueryBias:
      return &layer->query_bias;
    case TensorRole::kKeyBias:
      return &layer->key_bias;
    case TensorRole::kValueBias:
      return &layer->value_bias;
    default:
      return nullptr;
  }
}

const std::vector<float>* VectorOf(const Weights& weights, const TensorSpec& spec) {
  return VectorOf(const_cast<Weights&>(weights), spec);
}

Weights LoadWeights(const ModelConfig& config, const TensorSource& source, const std::string& where,
                    ThreadPool& pool) {
  RequireMemory(PackedBytes(config, source), AvailableMemory(), where, "the model");
  Loader loader(config, where, pool);
  for (const TensorSpec& spec : ListTensors(config)) loader.Add(spec, source(spec));
  return loader.Take();
}

}  // namespace stocha
