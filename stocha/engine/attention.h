// Causal grouped-query attention with rotary positions over the caller's caches.
#ifndef STOCHA_ENGINE_ATTENTION_H_
#define STOCHA_ENGINE_ATTENTION_H_

#include <cstdint>
#include <span>

#include "stocha/engine/weights.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/config.h"

namespace stocha {

// Fills workspace.rope for the tokens' positions; once a pass. Angles are computed in double.
void PrepareRope(const std::vector<double>& inverse_frequencies, std::span<const Token> tokens,
                 Workspace& workspace);

// From workspace.normed to workspace.delta: projections, norms of q and k, rotation, keys and
// values into the caches, attention, output projection. Tokens of one sequence come in rising
// positions.
void Attention(const ModelConfig& config, const LayerWeights& weights, int layer,
               std::span<const Token> tokens, Workspace& workspace);

}  // namespace stocha

#endif  // STOCHA_ENGINE_ATTENTION_H_
