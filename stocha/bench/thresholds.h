// Thresholds that give a model the sparsity asked for, on hidden states that it really has.
#ifndef STOCHA_BENCH_THRESHOLDS_H_
#define STOCHA_BENCH_THRESHOLDS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/model.h"

namespace stocha {

// A model that differs by its thresholds ([layers]) alone.
using ModelWithThresholds = std::function<Model(const std::vector<float>&)>;

// Thresholds with which a fraction `sparsity` (0.5 .. 1) of every layer's neurons stays silent on
// random tokens: each is that quantile of the layer's own gates, given the thresholds of the layers
// before. These change the gates behind them a little, so it takes a few rounds, until every layer
// is within a tenth of a percent. `tell` hears of each round, once a layer, and may throw to end
// it.
std::vector<float> CalibrateThresholds(const ModelConfig& config, const ModelWithThresholds& make,
                                       double sparsity, ThreadPool& pool,
                                       const std::function<void(int round)>& tell);

// `count` ids of the vocabulary, the same for the same seed.
std::vector<int32_t> RandomTokens(const ModelConfig& config, int64_t count, uint64_t seed);

}  // namespace stocha

#endif  // STOCHA_BENCH_THRESHOLDS_H_
