// The feed-forward layers alone, on the inputs that real tokens gave them: what a sparse FFN gains,
// without what attention and the head take.
#ifndef STOCHA_BENCH_FFN_WALK_H_
#define STOCHA_BENCH_FFN_WALK_H_

#include <cstdint>
#include <vector>

#include "stocha/engine/model.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"

namespace stocha {

// The normed inputs of every feed-forward layer, of passes that a workspace makes while this is
// attached to it. Neither copied nor moved, since the workspace calls it.
class FfnRecording {
 public:
  FfnRecording(const ModelConfig& config, Workspace& workspace);
  ~FfnRecording() { Stop(); }
  FfnRecording(const FfnRecording&) = delete;
  FfnRecording& operator=(const FfnRecording&) = delete;

  void Stop() { workspace_.on_ffn_input = nullptr; }

  int64_t passes() const { return static_cast<int64_t>(passes_.size()); }
  int64_t tokens(int64_t pass) const { return passes_[pass].tokens; }
  const float* Inputs(int64_t pass, int64_t layer) const {  // [tokens, hidden_size]
    return passes_[pass].inputs.data() + layer * passes_[pass].tokens * hidden_size_;
  }

 private:
  struct Pass {
    int64_t tokens = 0;
    std::vector<float> inputs;  // [layers, tokens, hidden_size]
  };
  void Record(int layer, int64_t tokens);

  Workspace& workspace_;
  int64_t layers_;
  int64_t hidden_size_;
  std::vector<Pass> passes_;
};

// Runs every layer's FFN on the recorded inputs of one pass, in layer order, as Model::Forward
// does: inputs in 8 bits where the weights are packed, FFN, sum of its blocks. `out`
// ([hidden_size]) takes the sums. Counts into workspace.stats.
void WalkFfn(const Model& model, const FfnRecording& recording, int64_t pass,
             const Activation& activation, Workspace& workspace, float* out);

}  // namespace stocha

#endif  // STOCHA_BENCH_FFN_WALK_H_
