// What a forward pass is asked to do.
#ifndef STOCHA_ENGINE_STEP_H_
#define STOCHA_ENGINE_STEP_H_

#include <cstdint>
#include <span>

#include "stocha/engine/kv_cache.h"
#include "stocha/model/activation.h"

namespace stocha {

enum class LogitsWanted : uint8_t { kNone, kLast, kAll };

// The next tokens of one sequence: a whole prompt, a piece of one, or the token just sampled.
struct Step {
  KvCache* cache = nullptr;         // the tokens come at its length(), and are added to it
  std::span<const int32_t> tokens;  // at least one
  Activation activation;            // of these tokens
  uint64_t seed = 0;                // of the request: coins are (seed, position, layer, neuron)
  LogitsWanted wanted = LogitsWanted::kLast;
  float* logits = nullptr;  // [1 or tokens.size(), vocab_size], as `wanted` says
};

}  // namespace stocha

#endif  // STOCHA_ENGINE_STEP_H_
