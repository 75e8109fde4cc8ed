// A conversation that goes on: the keys and values of what was said stay, and only what is new goes
// through the model.
#ifndef STOCHA_CHAT_CHAT_SESSION_H_
#define STOCHA_CHAT_CHAT_SESSION_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/engine/generate.h"
#include "stocha/engine/kv_cache.h"
#include "stocha/engine/model.h"
#include "stocha/engine/workspace.h"

namespace stocha {

struct Answer {
  std::vector<int32_t> ids;
  StopReason stop = StopReason::kCancelled;
  int64_t prompt_tokens = 0;
  int64_t kept_tokens = 0;  // of them, those that needed no work
  PhaseStats prefill;
  PhaseStats decode;
};

// Used by one thread at a time.
class ChatSession {
 public:
  // Borrows both, which must outlive it. Room for `context` tokens, question and answer, at most
  // the model's own.
  ChatSession(const Model& model, Workspace& workspace, int64_t context);

  // Answers `prompt`, the whole conversation so far: what it begins with as the last one did is not
  // computed again. One sample of `options`; the same that Generate gives, but that tokens of the
  // conversation that the model drew itself count as drawn. Throws Error on an empty prompt, and on
  // one that leaves no room for an answer. `cancelled` is asked between tokens. Resets
  // workspace.stats.
  Answer Run(std::span<const int32_t> prompt, const GenerateOptions& options,
             const std::function<void(int32_t id)>& on_token,
             const std::function<bool()>& cancelled);

  int64_t context() const { return cache_.capacity(); }

 private:
  void Prefill(std::span<const int32_t> prompt, const GenerateOptions& options,
               const std::function<bool()>& cancelled);
  StopReason Decode(const GenerateOptions& options, Sampler* sampler, std::vector<int32_t>* ids,
                    const std::function<void(int32_t id)>& on_token,
                    const std::function<bool()>& cancelled);
  void Forward(std::span<const int32_t> tokens, const Activation& activation, uint64_t seed);

  const Model& model_;
  Workspace& workspace_;
  KvCache cache_;
  std::vector<int32_t> held_;  // the tokens whose keys and values cache_ has
  Buffer<float> logits_;       // [vocab_size], of the last of them
};

// How many tokens a conversation with `model` may have unless the user says: its own limit, or what
// a part of the memory holds.
int64_t DefaultChatContext(const ModelConfig& config);

}  // namespace stocha

#endif  // STOCHA_CHAT_CHAT_SESSION_H_
