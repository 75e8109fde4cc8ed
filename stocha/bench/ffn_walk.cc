#include "stocha/bench/ffn_walk.h"

#include <algorithm>

#include "stocha/engine/ffn.h"

namespace stocha {

FfnRecording::FfnRecording(const ModelConfig& config, Workspace& workspace)
    : workspace_(workspace), layers_(config.num_hidden_layers), hidden_size_(config.hidden_size) {
  workspace_.on_ffn_input = [this](int layer, int64_t tokens) { Record(layer, tokens); };
}

void FfnRecording::Record(int layer, int64_t tokens) {
  if (layer == 0) {
    passes_.emplace_back();
    passes_.back().tokens = tokens;
    passes_.back().inputs.resize(static_cast<size_t>(layers_ * tokens * hidden_size_));
  }
  const int64_t size = tokens * hidden_size_;
  std::copy_n(workspace_.normed.data(), size, passes_.back().inputs.data() + layer * size);
}

void WalkFfn(const Model& model, const FfnRecording& recording, int64_t pass,
             const Activation& activation, Workspace& ws, float* out) {
  const Weights& weights = model.weights();
  const int64_t hidden = model.config().hidden_size;
  const int64_t count = recording.tokens(pass);
  const bool packed = weights.packed();
  const std::vector<Token> tokens(static_cast<size_t>(count), Token{.activation = activation});
  for (size_t layer = 0; layer < weights.layers.size(); ++layer) {
    const float* inputs = recording.Inputs(pass, static_cast<int64_t>(layer));
    ws.pool->ParallelFor(static_cast<int>(count), [&](int t, int) {
      float* normed = ws.normed.data() + t * hidden;
      std::copy_n(inputs + t * hidden, hidden, normed);
      if (packed) ws.normed_bytes.Set(ws.kernels, t, normed);
    });
    Ffn(weights.layers[layer], static_cast<int>(layer), tokens, ws);
    for (int64_t t = 0; t < count; ++t) AddFfnOutput(ws, t, hidden, out);
  }
}

}  // namespace stocha
