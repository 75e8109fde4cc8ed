// Thresholds that make a ReLU model sparser for the least harm (ModelConfig::thresholds).
//
// Leaving a neuron out for a token changes what its layer adds to the residual stream by
// act(gate) (up . x) down; squared,
//
//   harm = (act(gate) (up . x))^2 |down|^2
//
// The stream carries a change to its end, where one norm divides all, so that harms of all layers
// count alike; they are summed as if the changes stood at right angles to each other. Where it is
// best to leave out one more is where that adds the least: all layers end at the same harm of the
// last gates left out, and one whose small gates do little becomes sparser than others. What later
// layers make of a change is not in it, so that in a deep model early layers, whose outputs are
// small, may become too sparse: docs/models.md has it measured against the same for every layer.
//
// Gates are counted in bins, not kept: memory is kGateBins counts and sums a layer, whatever the
// text. The result is the same bits for any number of threads.
#ifndef STOCHA_ENGINE_THRESHOLDS_H_
#define STOCHA_ENGINE_THRESHOLDS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/model.h"
#include "stocha/model/activation.h"

namespace stocha {

// A bin holds the gates above 0 that have the same upper 16 bits, 128 bins an octave; the first
// and the last one all that is smaller or larger.
inline constexpr int kGateBins = 4096;

// The gates of one layer, of all neurons and tokens.
struct GateHistogram {
  int64_t gates = 0;            // those not above 0 too
  std::vector<int64_t> counts;  // [kGateBins]
  std::vector<double> harm;     // [kGateBins], sums
};

// How the sparsity wanted of all layers together is shared out among them.
enum class Sharing : uint8_t {
  kLeastHarm,  // as above
  kEqual,      // every layer gets it, but those that have more already
};

// [layers]: with these, a fraction `sparsity` of all the gates stays silent; 0 in layers, or
// everywhere, where as much does already.
std::vector<float> ChooseThresholds(const std::vector<GateHistogram>& layers, double sparsity,
                                    Sharing sharing);

// A text that goes through a model in windows of at most `context` tokens, each from an empty
// cache.
struct CalibrationText {
  std::span<const int32_t> ids;
  int64_t context = 0;
  Activation activation;  // sparse()
};

// Runs it; workspace.stats and neuron_fired, if wanted, tell the rest. `progress` is told how many
// tokens are done, and may throw to stop.
void RunText(const Model& model, const CalibrationText& text, Workspace& workspace,
             const std::function<void(int64_t tokens)>& progress);

// [layers], as the model stands, whatever its thresholds; adds to workspace.stats and neuron_fired.
// FfnLayout::kNeurons only.
std::vector<GateHistogram> CountGates(const Model& model, const CalibrationText& text,
                                      Workspace& workspace,
                                      const std::function<void(int64_t tokens)>& progress);

struct CalibratedThresholds {
  std::vector<float> thresholds;                   // [layers]
  std::vector<double> sparsity;                    // [layers], measured with them on the text
  std::vector<std::vector<int64_t>> neuron_fired;  // [layers][neurons], likewise
  double mean_sparsity = 0;                        // likewise
  int rounds = 0;                                  // passes over the text
};

// Thresholds change the gates of the layers behind them, so they are chosen again on what the model
// does with them, until what is measured is within kCloseEnough of what is wanted, kMaxRounds times
// at most; then the closest are taken. `model` is left with them. `start` is CountGates of it
// without thresholds: many sparsities share it.
inline constexpr double kCloseEnough = 0.001;
inline constexpr int kMaxRounds = 8;
CalibratedThresholds CalibrateThresholds(
    Model* model, const std::vector<GateHistogram>& start, const CalibrationText& text,
    double sparsity, Sharing sharing, ThreadPool& pool,
    const std::function<void(int round, int64_t tokens)>& progress);

}  // namespace stocha

#endif  // STOCHA_ENGINE_THRESHOLDS_H_
