#include "stocha/engine/ffn.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "stocha/base/memory.h"
#include "stocha/engine/activate.h"
#include "stocha/engine/project.h"
#include "stocha/kernels/packed.h"

namespace stocha {
namespace {

// Neurons whose up and down rows are worked on together, so that reads of several overlap, and
// tokens share them.
constexpr int64_t kGroup = 16;
// But consecutive neurons, for one token, are one long stream when taken one by one. Measured on
// Zen 4: faster where a neuron's two rows are shorter than this many bytes, slower where longer.
constexpr int64_t kStreamBytes = 8192;
// And from so many tokens on the kernels of bf16 and f32 share a panel of rows among them: the more
// rows the better.
constexpr int64_t kPanelTokens = 8;

// Below these active fractions it is faster to read the neurons that fire alone than all of them.
// Tokens that go together share a neuron's rows in dense tiles, so that skipping pays later.
// Measured on Zen 4 with q8_0, hidden 2048, FFN 8192 (docs/benchmarks.md).
constexpr double kAloneCrossover = 0.7;
constexpr double kTogetherCrossover = 0.45;

// A token's blocks are taken a few at a time, the gates of all first, and then their neurons: a
// long read breaks off less often. But a thread has its share in so many runs, that threads end
// together.
constexpr int kMostRunBlocks = 4;
constexpr int kRunsPerThread = 8;

int RunBlocks(int blocks, int threads, size_t tokens) {
  return tokens == 1 ? std::clamp(blocks / (threads * kRunsPerThread), 1, kMostRunBlocks) : 1;
}

bool SkipSilent(const Workspace& ws, int layer, size_t tokens) {
  if (ws.ffn_mode != FfnMode::kAuto) return ws.ffn_mode != FfnMode::kDense;
  return ws.last_fraction[layer] < (tokens == 1 ? kAloneCrossover : kTogetherCrossover);
}

// Plain loops of one line each, which the compiler turns into vectors: nobody can guess which
// neurons fire, and a branch that is guessed wrong costs more than a dozen of them.

// hidden[i] *= act[i], 0 where act[i] is 0 even if hidden[i] is no number.
void MultiplyFiring(const float* __restrict act, int64_t count, float* __restrict hidden) {
  for (int64_t i = 0; i < count; ++i) {
    const float product = act[i] * hidden[i];
    hidden[i] = act[i] == 0 ? 0.0F : product;
  }
}

// Not `act > threshold`, so that NaN comes through.
void SilenceUpTo(float threshold, int64_t count, float* act) {
  for (int64_t i = 0; i < count; ++i) act[i] = act[i] <= threshold ? 0.0F : act[i];
}

int64_t CountFiring(const float* act, int64_t count) {
  int32_t firing = 0;
  for (int64_t i = 0; i < count; ++i) firing += act[i] != 0 ? 1 : 0;
  return firing;
}

// One block of neurons for all tokens of the pass, on one thread.
class Block {
 public:
  // act: [tokens, kNeuronBlock], room for what the gates give. out: [tokens, hidden_size]; the
  // block's sums, or what they are added to.
  Block(const LayerWeights& weights, int layer, std::span<const Token> tokens, int64_t block,
        const Workspace& ws, float* act, float* out)
      : weights_(weights),
        kernels_(ws.kernels),
        tokens_(tokens),
        layer_(layer),
        count_(static_cast<int64_t>(tokens.size())),
        first_(block * kNeuronBlock),
        neurons_(std::min(kNeuronBlock, weights.gate.rows - first_)),
        x_(ws.Normed(count_)),
        screen_width_(ws.ffn_mode == FfnMode::kScreened ? ws.screen_width : -1),
        act_(act),
        out_(out) {}

  // Fills act_ and returns how many neurons fire, summed over tokens.
  int64_t Gate() {
    const bool screen =
        screen_width_ >= 0 && x_.tiles.count == 0 && weights_.gate.type == WeightType::kPlanes &&
        std::ranges::all_of(tokens_, [](const Token& token) { return token.activation.sparse(); });
    if (screen) {
      ScreenGate();
    } else {
      Dot(kernels_, weights_.gate, {.count = neurons_, .first = first_}, x_, act_, kNeuronBlock);
      bytes_ += neurons_ * weights_.gate.RowBytes();
    }
    int64_t fired = 0;
    std::array<float, kNeuronBlock> scratch;
    for (int64_t t = 0; t < count_; ++t) {
      const Token& token = tokens_[t];
      float* act = Act(t);
      if (weights_.threshold != 0 && token.activation.sparse()) {
        SilenceUpTo(weights_.threshold, neurons_, act);
      }
      ActivateBlock(
          kernels_, token.activation, {.seed = token.seed, .layer = static_cast<uint32_t>(layer_)},
          static_cast<uint32_t>(token.position), static_cast<uint32_t>(first_),
          {act, static_cast<size_t>(neurons_)}, {scratch.data(), static_cast<size_t>(neurons_)});
      fired += CountFiring(act, neurons_);
    }
    return fired;
  }

  // Adds to the counts of the layer's neurons, [neurons].
  void CountFired(int64_t* counts) const {
    for (int64_t t = 0; t < count_; ++t) {
      const float* act = act_ + t * kNeuronBlock;
      for (int64_t i = 0; i < neurons_; ++i) counts[first_ + i] += act[i] != 0 ? 1 : 0;
    }
  }

  // ws.hidden = act * up, of all neurons.
  void Hidden(const Workspace& ws) {
    const int64_t all = weights_.gate.rows;
    float* hidden = ws.hidden.data() + first_;
    Dot(kernels_, weights_.up, {.count = neurons_, .first = first_}, x_, hidden, all);
    for (int64_t t = 0; t < count_; ++t) MultiplyFiring(Act(t), neurons_, hidden + t * all);
  }

  // Each returns how many neurons' rows it read.
  int64_t Dense() {
    std::fill_n(out_, count_ * weights_.up.cols, 0.0F);
    if (Alone()) {
      RunNeurons(kernels_, weights_.up, weights_.down, {.count = neurons_, .first = first_}, act_,
                 x_.quantized, out_);
      return neurons_;
    }
    std::array<int32_t, kNeuronBlock> all;
    std::iota(all.begin(), all.end(), static_cast<int32_t>(first_));
    size_t group = kGroup;
    if (count_ == 1 && NeuronBytes() < kStreamBytes) group = 1;
    if (count_ >= kPanelTokens && !IsPacked(weights_.up.type)) group = kNeuronBlock;
    RunGroups({all.data(), static_cast<size_t>(neurons_)}, group);
    return neurons_;
  }

  int64_t Sparse() {
    std::fill_n(out_, count_ * weights_.up.cols, 0.0F);
    std::array<bool, kNeuronBlock> read{};
    for (int64_t t = 0; t < count_; ++t) SparseToken(t, &read);
    if (first_ >= weights_.kept_neurons) PutOut(Neurons());
    return std::ranges::count(read, true);
  }

  // All neurons, added to what `out` has, in tiles.
  int64_t Fast() {
    std::array<float, kFastPassTokens * kNeuronBlock> hidden;  // [tokens, neurons]
    const RowSet rows = {.count = neurons_, .first = first_};
    Dot(kernels_, weights_.up, rows, x_, hidden.data(), kNeuronBlock);
    for (int64_t t = 0; t < count_; ++t) {
      MultiplyFiring(Act(t), neurons_, hidden.data() + t * kNeuronBlock);
    }
    AxpyTiles(*kernels_.tiles, weights_.down, rows, hidden.data(), kNeuronBlock, count_, out_);
    return neurons_;
  }

  int64_t NeuronBytes() const { return weights_.up.RowBytes() + weights_.down.RowBytes(); }
  int64_t gate_bytes() const { return bytes_; }

 private:
  float* Act(int64_t t) { return act_ + t * kNeuronBlock; }
  // One token of 8 bits has a kernel of its own for packed neurons.
  bool HasKernel() const { return IsPacked(weights_.up.type) && x_.fine.count == 0; }
  bool Alone() const { return count_ == 1 && HasKernel(); }

  // act_ = the gate where its high plane says that the neuron may fire, 0 elsewhere.
  void ScreenGate() {
    std::array<float, kPassTokens * kNeuronBlock> deviation;  // [tokens, neurons]
    Screen(kernels_, weights_.gate, {.count = neurons_, .first = first_}, x_.quantized, act_,
           deviation.data(), kNeuronBlock);
    bytes_ += neurons_ * HighPlaneBytes(weights_.gate.cols);
    std::array<bool, kNeuronBlock> read{};
    for (int64_t t = 0; t < count_; ++t) {
      std::array<int32_t, kNeuronBlock> candidates;
      std::array<float, kNeuronBlock> gate;
      int64_t count = 0;
      float* act = Act(t);
      for (int64_t i = 0; i < neurons_; ++i) {
        const float reach = screen_width_ * deviation[t * kNeuronBlock + i];
        const bool silent = act[i] + reach <= weights_.threshold;
        act[i] = 0;
        if (silent) continue;
        candidates[count++] = static_cast<int32_t>(first_ + i);
        read[i] = true;
      }
      const auto token = static_cast<int32_t>(t);
      Dot(kernels_, weights_.gate, {.count = count, .index = candidates.data()}, x_.Only(&token),
          gate.data(), kNeuronBlock);
      for (int64_t i = 0; i < count; ++i) act[candidates[i] - first_] = gate[i];
    }
    bytes_ += std::ranges::count(read, true) * LowPlaneBytes(weights_.gate.cols);
  }

  // `neurons` in rising order, each for every token; one that does not fire is multiplied by 0.
  void RunGroups(std::span<const int32_t> neurons, size_t group_size) {
    const auto stride = static_cast<int64_t>(group_size);
    std::array<float, kPassTokens * kNeuronBlock> hidden;  // [tokens, group_size]
    for (size_t begin = 0; begin < neurons.size(); begin += group_size) {
      const auto group = neurons.subspan(begin, std::min(group_size, neurons.size() - begin));
      const RowSet rows = {.count = static_cast<int64_t>(group.size()), .index = group.data()};
      Dot(kernels_, weights_.up, rows, x_, hidden.data(), stride);
      for (int64_t t = 0; t < count_; ++t) {
        for (size_t i = 0; i < group.size(); ++i) {
          const float act = Act(t)[group[i] - first_];
          float& h = hidden[t * stride + static_cast<int64_t>(i)];
          h = act == 0 ? 0 : act * h;
        }
      }
      Axpy(kernels_, weights_.down, rows, hidden.data(), stride,
           {.data = out_, .stride = weights_.down.cols, .count = count_});
    }
  }

  // Of a mapped packed file, where neurons stand without a gap.
  void ReadAheadOf(std::span<const int32_t> neurons) const {
    const auto* first = static_cast<const std::byte*>(weights_.up.data);
    const auto bytes = static_cast<size_t>(NeuronBytes());
    for (size_t begin = 0, end = 0; begin < neurons.size(); begin = end) {
      for (end = begin + 1; end < neurons.size() && neurons[end] == neurons[end - 1] + 1;) ++end;
      ReadAhead({first + static_cast<size_t>(neurons[begin]) * bytes, (end - begin) * bytes});
    }
  }

  // The block's neurons, where they stand without a gap.
  std::span<const std::byte> Neurons() const {
    const auto bytes = static_cast<size_t>(NeuronBytes());
    return {static_cast<const std::byte*>(weights_.up.data) + static_cast<size_t>(first_) * bytes,
            static_cast<size_t>(neurons_) * bytes};
  }

  // The neurons that fire for token `t`. Tokens follow each other while the rows that they share
  // are in the cache: faster than to take a neuron's tokens together, whose sums are then not.
  void SparseToken(int64_t t, std::array<bool, kNeuronBlock>* read) {
    std::array<int32_t, kNeuronBlock> firing;
    std::array<float, kNeuronBlock> act;
    int64_t count = 0;
    for (int64_t i = 0; i < neurons_; ++i) {  // no branch: nobody can guess who fires
      const bool fires = Act(t)[i] != 0;
      act[count] = Act(t)[i];
      firing[count] = static_cast<int32_t>(first_ + i);
      (*read)[i] |= fires;
      count += fires ? 1 : 0;
    }
    if (weights_.on_disk) ReadAheadOf({firing.data(), static_cast<size_t>(count)});
    const auto token = static_cast<int32_t>(t);
    const Input x = x_.Only(&token);
    float* out = out_ + t * weights_.down.cols;
    if (HasKernel()) {
      RunNeurons(kernels_, weights_.up, weights_.down, {.count = count, .index = firing.data()},
                 act.data(), x.quantized, out);
      return;
    }
    for (int64_t begin = 0; begin < count; begin += kGroup) {
      const RowSet rows = {.count = std::min<int64_t>(kGroup, count - begin),
                           .index = firing.data() + begin};
      std::array<float, kGroup> hidden;
      Dot(kernels_, weights_.up, rows, x, hidden.data(), kGroup);
      for (int64_t i = 0; i < rows.count; ++i) hidden[i] *= act[begin + i];
      Axpy(kernels_, weights_.down, rows, hidden.data(), kGroup, {.data = out, .count = 1});
    }
  }

  const LayerWeights& weights_;
  const KernelTable& kernels_;
  std::span<const Token> tokens_;
  int layer_;
  int64_t count_;  // tokens
  int64_t first_;  // neuron
  int64_t neurons_;
  Input x_;             // [tokens, hidden_size]
  float screen_width_;  // below 0: not screened
  int64_t bytes_ = 0;   // read of the gate
  float* act_;          // [tokens, kNeuronBlock]
  float* out_;          // [tokens, hidden_size]
};

// ws.ffn_blocks, in one part, = down times ws.hidden.
void DownByRows(const LayerWeights& weights, int64_t tokens, Workspace& ws) {
  if (IsPacked(weights.down.type)) ws.EncodeHidden(tokens);
  Project(std::array<Projection, 1>{{{&weights.down, nullptr, ws.ffn_blocks.data()}}},
          ws.Hidden(tokens), ws.kernels, *ws.pool);
}

}  // namespace

void Ffn(const LayerWeights& weights, int layer, std::span<const Token> tokens, Workspace& ws) {
  const auto blocks = static_cast<int>(ws.fired.size());
  const bool skip = SkipSilent(ws, layer, tokens.size());
  const bool rows = weights.layout == FfnLayout::kRows;
  // Blocks of a fast pass are added up as they come, a few in a row on one thread.
  const bool fast = ws.fast_pass && !rows;
  const int run = fast ? static_cast<int>(kFastPartBlocks)
                       : RunBlocks(blocks, ws.pool->num_threads(), tokens.size());
  const int runs = (blocks + run - 1) / run;
  ws.ffn_in_tiles = fast;
  ws.ffn_part_tokens = static_cast<int64_t>(tokens.size());
  if (fast) ws.ffn_part_tokens = (ws.ffn_part_tokens + 15) / 16 * 16;
  const int64_t part_size = ws.ffn_part_tokens * weights.up.cols;
  const auto gate = [&](Block& block, int index) {
    ws.fired[index] = block.Gate();
    if (!ws.neuron_fired.empty()) block.CountFired(ws.neuron_fired[layer].data());
  };
  const auto count = [&](const Block& block, int index, int64_t rows_read) {
    ws.rows_read[index] = rows_read;
    ws.bytes[index] = block.gate_bytes() + rows_read * block.NeuronBytes();
  };
  ws.pool->ParallelFor(runs, [&](int task, int) {
    const int first = task * run;
    const int end = std::min(first + run, blocks);
    std::array<float, kFastPassTokens * kNeuronBlock> act;
    if (fast) {
      float* out = ws.ffn_blocks.data() + task * part_size;
      std::fill_n(out, part_size, 0.0F);
      for (int index = first; index < end; ++index) {
        Block block(weights, layer, tokens, index, ws, act.data(), out);
        gate(block, index);
        count(block, index, block.Fast());
      }
      return;
    }
    std::array<std::optional<Block>, kMostRunBlocks> of_run;
    for (int index = first; index < end; ++index) {
      float* out = rows ? nullptr : ws.ffn_blocks.data() + index * part_size;
      float* block_act = act.data() + (index - first) * kNeuronBlock;
      gate(of_run[index - first].emplace(weights, layer, tokens, index, ws, block_act, out), index);
    }
    for (int index = first; index < end; ++index) {
      Block& block = *of_run[index - first];
      if (rows) {
        block.Hidden(ws);
      } else {
        count(block, index, skip ? block.Sparse() : block.Dense());
      }
    }
  });
  ws.ffn_parts = rows ? 1 : fast ? runs : blocks;
  LayerStats pass = {.tokens = static_cast<int64_t>(tokens.size())};
  pass.fired = std::accumulate(ws.fired.begin(), ws.fired.end(), int64_t{0});
  if (rows) {
    DownByRows(weights, pass.tokens, ws);
    pass.rows_read = weights.gate.rows;
    for (const Matrix* matrix : {&weights.gate, &weights.up, &weights.down}) {
      pass.bytes += matrix->rows * matrix->RowBytes();
    }
  } else {
    pass.rows_read = std::accumulate(ws.rows_read.begin(), ws.rows_read.end(), int64_t{0});
    pass.bytes = std::accumulate(ws.bytes.begin(), ws.bytes.end(), int64_t{0});
  }
  ws.stats[layer] += pass;
  ws.last_fraction[layer] = pass.ActiveFraction(weights.gate.rows);
}

void AddFfnOutput(const Workspace& ws, int64_t t, int64_t hidden_size, float* x) {
  constexpr int64_t kColumns = 64;  // summed in registers
  for (int64_t first = 0; first < hidden_size; first += kColumns) {
    const int64_t count = std::min(kColumns, hidden_size - first);
    std::array<float, kColumns> sums{};
    for (int64_t block = 0; block < ws.ffn_parts; ++block) {
      const float* part = ws.ffn_blocks.data() + block * ws.ffn_part_tokens * hidden_size;
      if (!ws.ffn_in_tiles) {
        part += t * hidden_size + first;
        for (int64_t i = 0; i < count; ++i) sums[i] += part[i];
        continue;
      }
      for (int64_t i = 0; i < count; i += 16) {
        const float* tile = part + TileOffset(hidden_size, t, first + i);
        for (int64_t j = 0; j < 16; ++j) sums[i + j] += tile[j];
      }
    }
    for (int64_t i = 0; i < count; ++i) x[first + i] += sums[i];
  }
}

}  // namespace stocha
