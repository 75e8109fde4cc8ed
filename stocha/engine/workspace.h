// What a caller brings to Model::Forward and keeps afterwards: threads, scratch memory, statistics.
#ifndef STOCHA_ENGINE_WORKSPACE_H_
#define STOCHA_ENGINE_WORKSPACE_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/base/thread_pool.h"
#include "stocha/engine/matrix.h"
#include "stocha/engine/step.h"
#include "stocha/kernels/isa.h"
#include "stocha/kernels/kernels.h"
#include "stocha/model/config.h"

namespace stocha {

// How the feed-forward layers are computed.
enum class FfnMode : uint8_t {
  kAuto,      // dense or exact, whichever is faster at the fraction of neurons that fired last
  kDense,     // up and down of every neuron
  kExact,     // up and down of the neurons that fire; the same bits
  kScreened,  // as kExact, but a gate in planes is read whole only where its high plane leaves it
              // open whether the neuron fires: neurons that just fire may be missed
};

// "auto", "dense", "exact", "screened"; throws UsageError, naming `where`, on anything else.
FfnMode ParseFfnMode(std::string_view text, std::string_view where);

// How passes of many tokens multiply with packed rows.
enum class PrefillMode : uint8_t {
  kExact,  // as any other pass: the same bits, however many tokens go together
  kFast,   // kLeastFastTokens and more by TileKernels, where the instruction set has them: other
           // bits
};

// "exact", "fast"; throws UsageError, naming `where`, on anything else.
PrefillMode ParsePrefillMode(std::string_view text, std::string_view where);

// Counts of one layer since the caller last set them to zero.
struct LayerStats {
  int64_t tokens = 0;
  int64_t fired = 0;  // neurons with act(gate) != 0, summed over tokens
  int64_t rows_read =
      0;              // neurons whose up and down rows were read, once for tokens that share them
  int64_t bytes = 0;  // of weights that were read: gate, up, down

  LayerStats& operator+=(const LayerStats& other) {
    tokens += other.tokens;
    fired += other.fired;
    rows_read += other.rows_read;
    bytes += other.bytes;
    return *this;
  }
  // The fraction of `neurons` that fired; 0 before the first token.
  double ActiveFraction(int64_t neurons) const {
    return tokens == 0 ? 0 : static_cast<double>(fired) / static_cast<double>(tokens * neurons);
  }
};

// One token of a pass through the layers.
struct Token {
  int32_t id = 0;
  KvCache* cache = nullptr;
  int64_t position = 0;
  Activation activation;
  uint64_t seed = 0;
  float* logits = nullptr;  // [vocab_size], or null
};

// Tokens that go through the layers together. More share each read of the weights; the activations
// of this many stay in the second-level cache.
inline constexpr int64_t kPassTokens = 64;
// Of kFast, whose weights must be converted once a pass; and the fewest for which that pays.
inline constexpr int64_t kFastPassTokens = kMostTileVectors;
inline constexpr int64_t kLeastFastTokens = 32;

// Neurons whose down rows are summed up together before they are added to the others: a part of
// what the results are, not a matter of speed.
inline constexpr int64_t kNeuronBlock = 256;

// kScreened passes over a neuron whose estimate is this many standard deviations of its error below
// the threshold. A normal error would hide 1 in 80 of the neurons whose gate is just above it,
// fewer of the others.
inline constexpr float kScreenWidth = 2.25F;

// Used by one Forward at a time.
struct Workspace {
  struct Options {
    FfnMode ffn_mode = FfnMode::kAuto;
    float screen_width = kScreenWidth;
    Isa isa = SelectedIsa();
    QuantizedDepth depth = QuantizedDepth::kCoarse;  // of vectors that packed rows meet
    PrefillMode prefill = PrefillMode::kExact;
  };
  // Borrows `pool`.
  Workspace(const ModelConfig& config, ThreadPool* pool, const Options& options);

  const KernelTable& kernels;
  ThreadPool* pool;
  FfnMode ffn_mode;
  float screen_width;
  int64_t pass_tokens;                // the most in one pass
  bool fast_pass = false;             // the pass at work goes by TileKernels
  std::vector<LayerStats> stats;      // [layers]; the caller may reset it at any time
  int64_t other_bytes = 0;            // of weights read outside the feed-forward layers; likewise
  std::vector<double> last_fraction;  // [layers], active fraction of the last pass
  // [layers][neurons], the tokens that each neuron fired for; empty, as at first: not counted.
  std::vector<std::vector<int64_t>> neuron_fired;

  // If set, called before each feed-forward layer, when Normed(tokens) is its input.
  std::function<void(int layer, int64_t tokens)> on_ffn_input;

  // Scratch of one pass of T tokens, packed for T.
  Buffer<float> x;               // [T, hidden_size], the residual stream
  Buffer<float> normed;          // [T, hidden_size]
  Buffer<float> delta;           // [T, hidden_size], what attention adds
  Buffer<float> query;           // [T, heads, head_dim]
  Buffer<float> key;             // [T, kv_heads, head_dim]
  Buffer<float> value;           // [T, kv_heads, head_dim]
  Buffer<float> attention;       // [T, heads, head_dim]
  QuantizedBuffer normed_bytes;  // normed and attention in 8 bits, for packed weights
  QuantizedBuffer attention_bytes;
  // TileVectors of normed, attention and hidden, if passes may be fast.
  Buffer<uint16_t> normed_tiles;
  Buffer<uint16_t> attention_tiles;
  Buffer<uint16_t> hidden_tiles;
  Buffer<float> hidden;            // [T, intermediate_size], act(gate) * up, of FfnLayout::kRows
  QuantizedBuffer hidden_bytes;    // in 8 bits
  int64_t ffn_parts = 0;           // parts of ffn_blocks that the last feed-forward layer filled,
  int64_t ffn_part_tokens = 0;     // and T of each of them
  bool ffn_in_tiles = false;       // which then lie as TileOffset says
  Buffer<float> rope;              // [T, 2, head_dim / 2], cosines then sines
  Buffer<float> ffn_blocks;        // [blocks, T, hidden_size]
  Buffer<float> logits;            // [T, vocab_size]
  std::vector<int64_t> fired;      // [blocks], of one layer
  std::vector<int64_t> rows_read;  // [blocks]
  std::vector<int64_t> bytes;      // [blocks]
  std::vector<std::vector<float>> scores;  // [threads][heads of a group, positions]

  // The first `tokens` vectors as packed rows meet them in this pass: in tiles or in 8 bits.
  void EncodeAttention(int64_t tokens);
  void EncodeHidden(int64_t tokens);
  // The tiles of normed alone, whose 8 bits are made where it is.
  void PackNormed(int64_t tokens);

  // The first `tokens` vectors of normed and of attention, as matrices take them; likewise of
  // hidden.
  Input Normed(int64_t tokens) const;
  Input Attended(int64_t tokens) const;
  Input Hidden(int64_t tokens) const;
};

inline int64_t NeuronBlocks(const ModelConfig& config) {
  return (config.intermediate_size + kNeuronBlock - 1) / kNeuronBlock;
}

// Blocks of neurons whose output a fast pass adds up in one part: fewer parts to write and read.
inline constexpr int64_t kFastPartBlocks = 4;
inline int64_t FastParts(const ModelConfig& config) {
  return (NeuronBlocks(config) + kFastPartBlocks - 1) / kFastPartBlocks;
}

}  // namespace stocha

#endif  // STOCHA_ENGINE_WORKSPACE_H_
