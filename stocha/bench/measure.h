// `stocha bench`: speeds of a model, of the modes of its feed-forward layers in turn.
#ifndef STOCHA_BENCH_MEASURE_H_
#define STOCHA_BENCH_MEASURE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/engine/model.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"

namespace stocha {

struct MeasureOptions {
  std::vector<FfnMode> modes;  // none twice
  Activation activation;
  int64_t prompt_tokens = 512;
  int64_t gen_tokens = 128;
  int64_t batch = 1;  // sequences that are decoded together, 1 .. kPassTokens
  int rounds = 3;
  PrefillMode prefill = PrefillMode::kExact;
  // Measured instead of the model in dense mode: the same in the layout that suits it best.
  const Model* dense_model = nullptr;
  double walk_seconds = 0.25;  // of the FFN-only walk, at least
  // What memory gives now, bytes a second: asked before and after each decoding, since it moves.
  std::function<double()> read_bandwidth;
};

// The tokens that one run takes: those of each sequence follow each other.
inline int64_t TokensNeeded(const MeasureOptions& options) {
  return options.batch * (options.prompt_tokens + options.gen_tokens);
}

// One figure of every round.
struct Samples {
  std::vector<double> values;

  double Median() const;
  double Min() const;
  double Max() const;
};

std::string_view FfnModeName(FfnMode mode);

struct ModeFigures {
  FfnMode mode = FfnMode::kDense;
  Samples decode_tokens_per_s;
  Samples prefill_tokens_per_s;
  Samples ffn_us_per_token;
  Samples read_bandwidth;  // the better of the two around decoding
  // Bytes read of weights for one token, as the engine counts them, and of its keys and values.
  double bytes_per_token = 0;           // in decoding, all of it
  double ffn_bytes_per_token = 0;       // in the FFN-only walk
  std::vector<double> active_fraction;  // [layers], of decoding
  double ffn_fired_per_token = 0;  // neurons, in the FFN-only walk: the same inputs in all modes
};

// Told what is done now, and how much of all work is done, several times a second; may throw to end
// it.
using Tell = std::function<void(const std::string& doing, double fraction)>;

// Every round takes the modes one after the other, so that what changes in the machine meanwhile
// changes all of them. Each fills fresh caches with the prompts (prefill), then feeds the tokens
// that follow one by one (decode), then walks the feed-forward layers alone on inputs recorded
// before (ffn). `ids` has TokensNeeded; throws Error when memory is short.
std::vector<ModeFigures> Measure(const Model& model, const std::vector<int32_t>& ids,
                                 const MeasureOptions& options, ThreadPool& pool, const Tell& tell);

}  // namespace stocha

#endif  // STOCHA_BENCH_MEASURE_H_
