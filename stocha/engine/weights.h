// A model's weights as the engine reads them.
//
// Neuron i's row of up and its column of down stand next to each other, so that a neuron that fires
// is one contiguous read. A packed model (packed_model.h) is mapped and used as it is. Of a model
// directory, matrices in F32 or BF16 are used where they lie (in the mapped file), F16 is widened
// to F32 once, and up and down are repacked once, at loading.
#ifndef STOCHA_ENGINE_WEIGHTS_H_
#define STOCHA_ENGINE_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/base/thread_pool.h"
#include "stocha/engine/matrix.h"
#include "stocha/model/config.h"
#include "stocha/model/safetensors.h"
#include "stocha/model/tensors.h"

namespace stocha {

// How up and down of a layer lie.
enum class FfnLayout : uint8_t {
  kNeurons,  // up row next to transposed down row, so that silent neurons can be passed over
  kRows,     // matrices of their own, down not transposed: the fastest where all neurons fire
};

struct LayerWeights {
  std::vector<float> input_norm;           // [hidden_size]
  Matrix query;                            // [q_size, hidden_size]
  Matrix key;                              // [kv_size, hidden_size]
  Matrix value;                            // [kv_size, hidden_size]
  std::vector<float> query_bias;           // [q_size], or empty; likewise the next two
  std::vector<float> key_bias;             // [kv_size]
  std::vector<float> value_bias;           // [kv_size]
  std::vector<float> query_norm;           // [head_dim], or empty
  std::vector<float> key_norm;             // [head_dim], or empty
  Matrix attention_output;                 // [hidden_size, q_size]
  std::vector<float> post_attention_norm;  // [hidden_size]
  Matrix gate;                             // [intermediate_size, hidden_size]
  Matrix up;                               // [intermediate_size, hidden_size], a view of `neurons`
  Matrix down;                             // transposed: [intermediate_size, hidden_size], likewise
  FfnLayout layout = FfnLayout::kNeurons;  // kRows: down is [hidden_size, intermediate_size]
  Buffer<std::byte> neurons;  // [intermediate_size, up row and down row, padded to 64];
                              // empty when the file holds them so
  // ModelConfig::thresholds of the layer, filled in by Model.
  float threshold = 0;
  // Neurons lie in a mapped file that is larger than memory: what fires is asked for together, not
  // one page after the other.
  bool on_disk = false;
  // With on_disk: neurons from this one on are put out of memory when they have been used, so that
  // those before them, which fire more often, need not make room.
  int64_t kept_neurons = std::numeric_limits<int64_t>::max();
};

// The tensor of a spec; it must outlive the weights.
using TensorSource = std::function<const TensorView&(const TensorSpec&)>;

// Immutable once loaded. Movable; views stay valid.
struct Weights {
  Matrix embedding;  // [vocab_size, hidden_size]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;            // [hidden_size]
  Matrix head;                              // [vocab_size, hidden_size]; the embedding when tied
  std::vector<std::vector<float>> widened;  // what views of F16 or unaligned tensors point into

  bool packed() const;  // whether any matrix is, so that inputs are wanted in 8 bits too
  // Whether passes may go by TileKernels: these have the type of every packed matrix of the layers,
  // and of neurons, which are bf16 where rows are no whole number of blocks.
  bool fit_tiles() const;
};

// Where a tensor of the list stands: a matrix, or a vector; null for one of the other kind. Down
// stands transposed.
Matrix* MatrixOf(Weights& weights, const TensorSpec& spec);
const Matrix* MatrixOf(const Weights& weights, const TensorSpec& spec);
std::vector<float>* VectorOf(Weights& weights, const TensorSpec& spec);
const std::vector<float>* VectorOf(const Weights& weights, const TensorSpec& spec);

// `where` names the model in errors. Throws Error when a repacked copy does not fit into memory.
Weights LoadWeights(const ModelConfig& config, const TensorSource& source, const std::string& where,
                    ThreadPool& pool);

}  // namespace stocha

#endif  // STOCHA_ENGINE_WEIGHTS_H_
