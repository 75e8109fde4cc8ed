#include "stocha/bench/thresholds.h"

#include <algorithm>
#include <cmath>

#include "stocha/bench/random_rows.h"
#include "stocha/engine/kv_cache.h"

namespace stocha {
namespace {

constexpr int64_t kTokens = 256;
constexpr int kMaxRounds = 4;
constexpr double kCloseEnough = 0.001;
constexpr uint64_t kSeed = 1;  // of the tokens; other seeds are held out

// The gates of every layer, of tokens that go through the model. `tell` is called at every layer.
class GateRecorder {
 public:
  GateRecorder(const Model& model, Workspace& workspace, const std::function<void()>& tell)
      : model_(model), ws_(workspace), gates_(model.weights().layers.size()) {
    ws_.on_ffn_input = [this, tell](int layer, int64_t tokens) {
      tell();
      Record(layer, tokens);
    };
  }

  std::vector<float>& gates(size_t layer) { return gates_[layer]; }  // [tokens, neurons]

 private:
  void Record(int layer, int64_t tokens) {
    const Matrix& gate = model_.weights().layers[layer].gate;
    std::vector<float>& gates = gates_[layer];
    const size_t before = gates.size();
    gates.resize(before + static_cast<size_t>(tokens * gate.rows));
    float* out = gates.data() + before;
    const auto blocks = static_cast<int>((gate.rows + kNeuronBlock - 1) / kNeuronBlock);
    ws_.pool->ParallelFor(blocks, [&](int block, int) {
      const int64_t first = block * kNeuronBlock;
      Dot(ws_.kernels, gate, {.count = std::min(kNeuronBlock, gate.rows - first), .first = first},
          ws_.Normed(tokens), out + first, gate.rows);
    });
  }

  const Model& model_;
  Workspace& ws_;
  std::vector<std::vector<float>> gates_;  // [layers]
};

// Between the two values that part the `sparsity` smallest from the others.
float Quantile(std::vector<float>& values, double sparsity) {
  const auto rank = static_cast<int64_t>(sparsity * static_cast<double>(values.size()));
  const auto nth =
      values.begin() + std::clamp<int64_t>(rank, 0, static_cast<int64_t>(values.size()) - 1);
  std::ranges::nth_element(values, nth);
  return *nth;
}

}  // namespace

std::vector<int32_t> RandomTokens(const ModelConfig& config, int64_t count, uint64_t seed) {
  RandomBits bits(seed);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  const auto vocabulary = static_cast<uint64_t>(config.vocab_size);
  std::ranges::generate(ids, [&] { return static_cast<int32_t>(bits.Next() % vocabulary); });
  return ids;
}

std::vector<float> CalibrateThresholds(const ModelConfig& config, const ModelWithThresholds& make,
                                       double sparsity, ThreadPool& pool,
                                       const std::function<void(int round)>& tell) {
  const std::vector<int32_t> ids =
      RandomTokens(config, std::min(kTokens, config.max_position_embeddings), kSeed);
  std::vector<float> thresholds(static_cast<size_t>(config.num_hidden_layers), 0.0F);
  for (int round = 1; round <= kMaxRounds; ++round) {
    const Model model = make(thresholds);
    Workspace workspace(config, &pool, {});
    GateRecorder recorder(model, workspace, [&tell, round] { tell(round); });
    KvCache cache(config, static_cast<int64_t>(ids.size()));
    const Step step = {.cache = &cache,
                       .tokens = ids,
                       .activation = config.activation,
                       .wanted = LogitsWanted::kNone};
    model.Forward({&step, 1}, workspace);
    bool close = true;
    for (size_t layer = 0; layer < thresholds.size(); ++layer) {
      const double silent = 1 - workspace.stats[layer].ActiveFraction(config.intermediate_size);
      close = close && std::abs(silent - sparsity) < kCloseEnough;
      thresholds[layer] = std::max(0.0F, Quantile(recorder.gates(layer), sparsity));
    }
    if (close) break;
  }
  return thresholds;
}

}  // namespace stocha
