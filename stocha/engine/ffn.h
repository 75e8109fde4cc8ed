// The idea at inference: of a feed-forward layer, compute only the neurons that fire.
//
//   out = sum over neurons i of act(gate_i . x) (up_i . x) down_i
//
// The gate is computed for all neurons; a neuron whose act(gate) is 0 adds exactly 0, so its up and
// down rows need not be read. Neurons are summed in order within blocks of kNeuronBlock, and blocks
// in order: the sum is the same bits whether silent neurons are skipped (sparse) or not (dense),
// for any number of threads, and for a token alone or among others. (With infinite weights, which
// dense multiplies by 0, that would not hold.) Only FfnMode::kScreened may differ: it may miss
// neurons that just fire. And of FfnLayout::kRows nothing is skipped: act(gate) * up of all neurons
// is one more input in 8 bits, so its bits differ from those of kNeurons.
#ifndef STOCHA_ENGINE_FFN_H_
#define STOCHA_ENGINE_FFN_H_

#include <cstdint>
#include <span>

#include "stocha/engine/weights.h"
#include "stocha/engine/workspace.h"

namespace stocha {

// From workspace.normed to workspace.ffn_blocks; counts into workspace.stats[layer].
void Ffn(const LayerWeights& weights, int layer, std::span<const Token> tokens,
         Workspace& workspace);

// x[0 .. hidden_size) += the sum of token t's blocks, of the last Ffn.
void AddFfnOutput(const Workspace& workspace, int64_t t, int64_t hidden_size, float* x);

}  // namespace stocha

#endif  // STOCHA_ENGINE_FFN_H_
