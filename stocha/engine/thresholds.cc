#include "stocha/engine/thresholds.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/memory.h"
#include "stocha/engine/activate.h"
#include "stocha/engine/kv_cache.h"

namespace stocha {
namespace {

constexpr int64_t kForwardTokens = 8 * kPassTokens;  // between two looks at `progress`

// The upper half of the bits of 2^-16, where the second bin begins but for one.
constexpr int32_t kFirstBin = (127 - 16) << 7;

int BinOf(float gate) {
  return std::clamp((std::bit_cast<int32_t>(gate) >> 16) - kFirstBin, 0, kGateBins - 1);
}

// The value that parts the lower `fraction` of a bin from the rest, as if its gates were spread
// evenly; 1: its largest.
float Within(int bin, double fraction) {
  const auto offset = static_cast<int32_t>(fraction * 65536);
  return std::bit_cast<float>(((bin + kFirstBin) << 16) + std::clamp(offset, 1, 65536) - 1);
}

// The gates above 0 of one layer, taken from the smallest on.
class Ascent {
 public:
  explicit Ascent(const GateHistogram& layer) : layer_(&layer) {}

  void Take(double count) { left_ += count; }

  // Above which `count` gates fewer fire than at 0.
  float Threshold() const {
    if (left_ <= 0) return 0;
    double left = left_;
    int last = -1;  // with a gate in it
    for (int bin = 0; bin < kGateBins; ++bin) {
      const auto count = static_cast<double>(layer_->counts[bin]);
      if (count == 0) continue;
      if (left < count) return Within(bin, left / count);
      left -= count;
      last = bin;
    }
    return last < 0 ? 0 : Within(last, 1);
  }

 private:
  const GateHistogram* layer_;
  double left_ = 0;
};

int64_t Positive(const GateHistogram& layer) {
  return std::accumulate(layer.counts.begin(), layer.counts.end(), int64_t{0});
}

// Gates of a layer that are left out together: within, the harm of one more falls.
struct Segment {
  size_t layer = 0;
  int64_t count = 0;
  double harm = 0;

  double Slope() const { return harm / static_cast<double>(count); }
};

// The lower convex hull of summed harm over gates left out: slopes rise.
void AddHull(const GateHistogram& histogram, size_t layer, std::vector<Segment>* segments) {
  const size_t begin = segments->size();
  for (int bin = 0; bin < kGateBins; ++bin) {
    if (histogram.counts[bin] == 0) continue;
    Segment segment = {.layer = layer, .count = histogram.counts[bin], .harm = histogram.harm[bin]};
    while (segments->size() > begin && segments->back().Slope() >= segment.Slope()) {
      segment.count += segments->back().count;
      segment.harm += segments->back().harm;
      segments->pop_back();
    }
    segments->push_back(segment);
  }
}

void TakeLeastHarm(const std::vector<GateHistogram>& layers, double wanted,
                   std::vector<Ascent>* taken) {
  std::vector<Segment> segments;
  for (size_t l = 0; l < layers.size(); ++l) AddHull(layers[l], l, &segments);
  std::ranges::sort(segments, [](const Segment& a, const Segment& b) {
    const double slope_a = a.Slope();
    const double slope_b = b.Slope();
    return slope_a != slope_b ? slope_a < slope_b : a.layer < b.layer;  // of one layer, they differ
  });
  for (const Segment& segment : segments) {
    if (wanted <= 0) break;
    (*taken)[segment.layer].Take(std::min(wanted, static_cast<double>(segment.count)));
    wanted -= static_cast<double>(segment.count);
  }
}

// The fraction of each layer that gives `wanted` in all, where layers that have more keep it.
void TakeEqually(const std::vector<GateHistogram>& layers, double wanted,
                 std::vector<Ascent>* taken) {
  const auto take = [&](size_t l, double fraction) {
    const auto gates = static_cast<double>(layers[l].gates);
    const auto positive = static_cast<double>(Positive(layers[l]));
    return std::clamp(fraction * gates - (gates - positive), 0.0, positive);
  };
  double low = 0;
  double high = 1;
  constexpr int kHalvings = 50;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (size_t l = 0; l < layers.size(); ++l) sum += take(l, middle);
    (sum < wanted ? low : high) = middle;
  }
  for (size_t l = 0; l < layers.size(); ++l) (*taken)[l].Take(take(l, high));
}

// Counts the gates of tokens that go through the model.
class GateCounter {
 public:
  GateCounter(const Model& model, const Activation& activation, Workspace& workspace)
      : layers_(model.weights().layers),
        activation_(activation),
        ws_(workspace),
        rows_(layers_.front().gate.rows),
        gate_(kPassTokens * rows_),
        harm_(kPassTokens * rows_),
        histograms_(layers_.size()),
        down_norms_(layers_.size()) {
    for (size_t l = 0; l < layers_.size(); ++l) {
      histograms_[l].counts.assign(kGateBins, 0);
      histograms_[l].harm.assign(kGateBins, 0);
      down_norms_[l] = DownNorms(layers_[l].down);
    }
  }

  void Count(int layer, int64_t tokens) {
    const auto blocks = static_cast<int>((rows_ + kNeuronBlock - 1) / kNeuronBlock);
    ws_.pool->ParallelFor(blocks, [&](int block, int) { RunBlock(layer, tokens, block); });
    // By one thread, in one order: sums are the same bits for any number of them.
    GateHistogram& histogram = histograms_[layer];
    histogram.gates += tokens * rows_;
    for (int64_t i = 0; i < tokens * rows_; ++i) {
      if (!(gate_.data()[i] > 0)) continue;
      const int bin = BinOf(gate_.data()[i]);
      const double root = harm_.data()[i];
      ++histogram.counts[bin];
      histogram.harm[bin] += root * root;
    }
  }

  std::vector<GateHistogram> Take() { return std::move(histograms_); }

 private:
  // |down| of each neuron.
  std::vector<float> DownNorms(const Matrix& down) const {
    std::vector<float> norms(static_cast<size_t>(rows_));
    const auto blocks = static_cast<int>((rows_ + kNeuronBlock - 1) / kNeuronBlock);
    ws_.pool->ParallelFor(blocks, [&](int block, int) {
      std::vector<float> row(static_cast<size_t>(down.cols));
      const int64_t end = std::min<int64_t>((block + 1) * kNeuronBlock, rows_);
      for (int64_t i = block * kNeuronBlock; i < end; ++i) {
        UnpackMatrixRow(down, i, row.data(), RowUse::kAxpy);
        double squares = 0;
        for (const float value : row) squares += double{value} * double{value};
        norms[i] = static_cast<float>(std::sqrt(squares));
      }
    });
    return norms;
  }

  // Gates of a block of neurons, and the roots of their harms.
  void RunBlock(int layer, int64_t tokens, int block) {
    const int64_t first = block * kNeuronBlock;
    const int64_t count = std::min(kNeuronBlock, rows_ - first);
    const RowSet rows = {.count = count, .first = first};
    const Input input = ws_.Normed(tokens);
    Dot(ws_.kernels, layers_[layer].gate, rows, input, gate_.data() + first, rows_);
    Dot(ws_.kernels, layers_[layer].up, rows, input, harm_.data() + first, rows_);
    const float* norm = down_norms_[layer].data() + first;
    std::array<float, kNeuronBlock> act;
    std::array<float, kNeuronBlock> scratch;
    for (int64_t t = 0; t < tokens; ++t) {
      std::copy_n(gate_.data() + t * rows_ + first, count, act.data());
      ActivateBlock(ws_.kernels, activation_, {}, 0, 0, {act.data(), static_cast<size_t>(count)},
                    {scratch.data(), static_cast<size_t>(count)});
      float* harm = harm_.data() + t * rows_ + first;
      for (int64_t i = 0; i < count; ++i) harm[i] *= act[i] * norm[i];
    }
  }

  const std::vector<LayerWeights>& layers_;
  Activation activation_;
  Workspace& ws_;
  int64_t rows_;        // neurons
  Buffer<float> gate_;  // [tokens, neurons], as the next
  Buffer<float> harm_;  // act(gate) (up . x) |down|
  std::vector<GateHistogram> histograms_;
  std::vector<std::vector<float>> down_norms_;  // [layers][neurons]
};

}  // namespace

std::vector<float> ChooseThresholds(const std::vector<GateHistogram>& layers, double sparsity,
                                    Sharing sharing) {
  double wanted = 0;
  for (const GateHistogram& layer : layers) {
    const bool finite = std::ranges::all_of(layer.harm, [](double h) { return std::isfinite(h); });
    if (!finite) {
      throw Error({.where = "calibrate",
                   .what = "a neuron's output is not finite",
                   .hint = "check the weights, or train again"});
    }
    const auto gates = static_cast<double>(layer.gates);
    wanted += sparsity * gates - (gates - static_cast<double>(Positive(layer)));
  }
  std::vector<Ascent> taken(layers.begin(), layers.end());
  if (wanted > 0) {
    (sharing == Sharing::kEqual ? TakeEqually : TakeLeastHarm)(layers, wanted, &taken);
  }
  std::vector<float> thresholds;
  thresholds.reserve(layers.size());
  for (const Ascent& ascent : taken) thresholds.push_back(ascent.Threshold());
  return thresholds;
}

void RunText(const Model& model, const CalibrationText& text, Workspace& workspace,
             const std::function<void(int64_t tokens)>& progress) {
  const auto total = static_cast<int64_t>(text.ids.size());
  for (int64_t window = 0; window < total; window += text.context) {
    const int64_t end = std::min(window + text.context, total);
    KvCache cache(model.config(), end - window);
    for (int64_t begin = window; begin < end; begin += kForwardTokens) {
      progress(begin);
      const int64_t count = std::min(kForwardTokens, end - begin);
      const Step step = {
          .cache = &cache,
          .tokens = text.ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)),
          .activation = text.activation,
          .wanted = LogitsWanted::kNone};
      model.Forward({&step, 1}, workspace);
    }
  }
  progress(total);
}

std::vector<GateHistogram> CountGates(const Model& model, const CalibrationText& text,
                                      Workspace& workspace,
                                      const std::function<void(int64_t tokens)>& progress) {
  GateCounter counter(model, text.activation, workspace);
  struct Hook {  // which goes with the counter, whatever `progress` throws
    Workspace& workspace;
    ~Hook() { workspace.on_ffn_input = nullptr; }
  } hook = {workspace};
  workspace.on_ffn_input = [&counter](int layer, int64_t tokens) { counter.Count(layer, tokens); };
  RunText(model, text, workspace, progress);
  return counter.Take();
}

CalibratedThresholds CalibrateThresholds(
    Model* model, const std::vector<GateHistogram>& start, const CalibrationText& text,
    double sparsity, Sharing sharing, ThreadPool& pool,
    const std::function<void(int round, int64_t tokens)>& progress) {
  CalibratedThresholds best;
  double best_distance = 0;
  std::vector<float> thresholds = ChooseThresholds(start, sparsity, sharing);
  for (int round = 1; round <= kMaxRounds; ++round) {
    model->SetThresholds(thresholds);
    const ModelConfig& config = model->config();
    Workspace workspace(config, &pool, {});
    workspace.neuron_fired.assign(
        thresholds.size(), std::vector<int64_t>(static_cast<size_t>(config.intermediate_size), 0));
    const std::vector<GateHistogram> gates =
        CountGates(*model, text, workspace, [&](int64_t tokens) { progress(round, tokens); });
    CalibratedThresholds measured = {.thresholds = thresholds};
    LayerStats all;
    for (const LayerStats& layer : workspace.stats) {
      measured.sparsity.push_back(1 - layer.ActiveFraction(config.intermediate_size));
      all += layer;
    }
    measured.mean_sparsity = 1 - all.ActiveFraction(config.intermediate_size);
    measured.neuron_fired = std::move(workspace.neuron_fired);
    // No threshold: as much is silent as was wanted, or more.
    const bool none = std::ranges::all_of(thresholds, [](float t) { return t == 0; });
    const double distance = none ? 0 : std::abs(measured.mean_sparsity - sparsity);
    if (round == 1 || distance < best_distance) {
      best = std::move(measured);
      best_distance = distance;
    }
    best.rounds = round;
    if (best_distance < kCloseEnough) break;
    thresholds = ChooseThresholds(gates, sparsity, sharing);
  }
  model->SetThresholds(best.thresholds);
  return best;
}

}  // namespace stocha
