#include "stocha/chat/chat_session.h"

#include <algorithm>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// Of the prompt, between two looks at `cancelled`.
constexpr size_t kPiece = 8 * kPassTokens;

}  // namespace

int64_t DefaultChatContext(const ModelConfig& config) {
  const int64_t bytes = config.num_hidden_layers * config.kv_size() * int64_t{2 * sizeof(float)};
  const int64_t fits = std::max<int64_t>(AvailableMemory() / 4 / bytes, 1);
  return std::min<int64_t>(config.max_position_embeddings, fits);
}

ChatSession::ChatSession(const Model& model, Workspace& workspace, int64_t context)
    : model_(model),
      workspace_(workspace),
      cache_(model.config(), context),
      logits_(model.config().vocab_size) {}

Answer ChatSession::Run(std::span<const int32_t> prompt, const GenerateOptions& options,
                        const std::function<void(int32_t id)>& on_token,
                        const std::function<bool()>& cancelled) {
  ValidateSamplerOptions(options.sampler);
  if (std::ssize(prompt) >= context() || prompt.empty()) {
    throw Error({.where = "conversation",
                 .what = prompt.empty() ? "no tokens" : "too long for the context",
                 .got = std::to_string(prompt.size()) + " tokens",
                 .expected = "1 to " + std::to_string(context() - 1),
                 .hint = "begin a new one"});
  }
  // The last token goes through the model in any case, for its logits.
  const auto same = std::ranges::mismatch(held_, prompt.first(prompt.size() - 1)).in1;
  held_.erase(same, held_.end());
  cache_.Truncate(std::ssize(held_));
  Answer answer = {.prompt_tokens = std::ssize(prompt), .kept_tokens = std::ssize(held_)};
  Sampler sampler(options.sampler, options.seed, model_.config().vocab_size);
  for (const int32_t id : prompt) sampler.Accept(id);
  answer.prefill = MeasurePhase(workspace_, [&] { Prefill(prompt, options, cancelled); });
  if (held_.size() < prompt.size()) return answer;
  answer.decode = MeasurePhase(workspace_, [&] {
    answer.stop = Decode(options, &sampler, &answer.ids, on_token, cancelled);
  });
  return answer;
}

void ChatSession::Prefill(std::span<const int32_t> prompt, const GenerateOptions& options,
                          const std::function<bool()>& cancelled) {
  while (held_.size() < prompt.size() && !(cancelled && cancelled())) {
    const auto rest = prompt.subspan(held_.size());
    Forward(rest.first(std::min(kPiece, rest.size())), options.prompt_activation, options.seed);
  }
}

StopReason ChatSession::Decode(const GenerateOptions& options, Sampler* sampler,
                               std::vector<int32_t>* ids,
                               const std::function<void(int32_t id)>& on_token,
                               const std::function<bool()>& cancelled) {
  while (!(cancelled && cancelled())) {
    const auto vocabulary = static_cast<size_t>(logits_.size());
    const int32_t id = sampler->Sample({logits_.data(), vocabulary}, cache_.length());
    if (std::ranges::count(options.stop_ids, int64_t{id}) > 0) return StopReason::kStopId;
    sampler->Accept(id);
    ids->push_back(id);
    if (on_token) on_token(id);
    if (std::ssize(*ids) == options.max_tokens) return StopReason::kMaxTokens;
    if (cache_.length() == cache_.capacity()) return StopReason::kContextFull;
    Forward({&id, 1}, options.activation, options.seed);
  }
  return StopReason::kCancelled;
}

void ChatSession::Forward(std::span<const int32_t> tokens, const Activation& activation,
                          uint64_t seed) {
  const Step step = {.cache = &cache_,
                     .tokens = tokens,
                     .activation = activation,
                     .seed = seed,
                     .wanted = LogitsWanted::kLast,
                     .logits = logits_.data()};
  model_.Forward({&step, 1}, workspace_);
  held_.insert(held_.end(), tokens.begin(), tokens.end());
}

}  // namespace stocha
