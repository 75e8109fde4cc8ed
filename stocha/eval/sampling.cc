#include "stocha/eval/sampling.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "stocha/base/error.h"
#include "stocha/base/memory.h"
#include "stocha/engine/kv_cache.h"

namespace stocha {
namespace {

// Prompts that are read at the same time for each pass of tokens, divided by the samples of each:
// about as many samples begin in a pass as end.
constexpr int64_t kPromptSamples = 8;

// A cache and the tokens of a prompt that it holds.
struct PromptCache {
  KvCache cache;
  std::vector<int32_t> held;

  // Goes back to what it has in common with `ids`.
  void KeepCommon(std::span<const int32_t> ids) {
    const auto same = std::ranges::mismatch(held, ids).in1 - held.begin();
    held.resize(same);
    cache.Truncate(same);
  }
};

// A prompt whose tokens but the last are read once for all of its samples.
struct Reading {
  PromptCache prompt;
  int64_t index = -1;  // of the prompt; -1: none
  int64_t begun = 0;   // samples
  bool ready = false;
};

// A sample as it grows.
struct Slot {
  PromptCache prompt;
  int64_t index = -1;  // of the prompt; -1: free
  int64_t sample = 0;
  std::optional<Sampler> sampler;
  std::vector<int32_t> pending;  // tokens that go through the model next
  std::vector<int32_t> ids;
  bool in_prompt = false;  // `pending` is of the prompt
  bool ended = false;
};

class Sampling {
 public:
  Sampling(const Model& model, std::span<const SamplePrompt> prompts,
           const SamplingOptions& options, Workspace& workspace)
      : model_(model),
        prompts_(prompts),
        options_(options),
        workspace_(workspace),
        vocab_size_(model.config().vocab_size),
        samples_(prompts.size()),
        left_(prompts.size(), options.samples) {
    const int64_t capacity = Capacity();
    // Where the prompt draws, each sample has a prompt of its own.
    const bool shared = options.prompt_activation.kind != ActivationKind::kStochastic;
    const auto most = static_cast<int64_t>(prompts.size());
    const int64_t readings =
        shared ? std::clamp<int64_t>(kPromptSamples / options.samples, 1, most) : 0;
    for (int64_t i = 0; i < readings; ++i) {
      readings_.push_back({.prompt = {.cache = KvCache(model.config(), capacity)}});
    }
    const int64_t slots = CountSlots(capacity, most * options.samples);
    for (int64_t i = 0; i < slots; ++i) {
      slots_.push_back({.prompt = {.cache = KvCache(model.config(), capacity)}});
    }
    logits_ = Buffer<float>(slots * vocab_size_);
  }

  void Run(const SamplesCallback& on_done, const std::function<bool()>& cancelled) {
    while (!cancelled || !cancelled()) {
      Begin();
      std::vector<Step> steps = PromptSteps();
      for (Slot& slot : slots_) {
        if (slot.index >= 0) steps.push_back(SlotStep(slot));
      }
      if (steps.empty() && NothingLeft()) return;
      if (!steps.empty()) model_.Forward(steps, workspace_);
      for (Reading& reading : readings_) reading.ready = reading.index >= 0;
      SampleTokens();
      if (!Collect(on_done)) return;
    }
  }

 private:
  int64_t Capacity() const {
    const int64_t most = model_.config().max_position_embeddings;
    int64_t capacity = 0;
    for (const SamplePrompt& prompt : prompts_) {
      const auto length = static_cast<int64_t>(prompt.ids.size());
      if (length < 1 || options_.max_tokens < 1 || length + options_.max_tokens > most) {
        throw Error({.where = "prompt",
                     .what = "does not fit the model's context with what is generated",
                     .got = std::to_string(length) + " and " + std::to_string(options_.max_tokens) +
                            " tokens",
                     .expected = "1 or more each, at most " + std::to_string(most) + " together"});
      }
      capacity = std::max(capacity, length + options_.max_tokens);
    }
    return capacity;
  }

  // As many samples as there may be, or as a part of the memory holds.
  int64_t CountSlots(int64_t capacity, int64_t samples) const {
    const ModelConfig& config = model_.config();
    const int64_t bytes =
        capacity * config.num_hidden_layers * config.kv_size() * int64_t{2 * sizeof(float)};
    const int64_t fit = std::max<int64_t>(AvailableMemory() / 4 / bytes, 1);
    return std::min({options_.batch, fit, samples});
  }

  std::span<const int32_t> Ids(int64_t prompt) const { return prompts_[prompt].ids; }

  // Gives free slots samples to begin with, while there are some.
  void Begin() {
    for (Slot& slot : slots_) {
      if (slot.index >= 0) continue;
      if (readings_.empty()) {
        if (next_prompt_ == std::ssize(prompts_)) return;
        BeginSample(slot, next_prompt_, next_sample_);
        slot.prompt.cache.Clear();
        slot.pending.assign(Ids(slot.index).begin(), Ids(slot.index).end());
        if (++next_sample_ < options_.samples) continue;
        next_sample_ = 0;
        ++next_prompt_;
        continue;
      }
      const auto reading =
          std::ranges::find_if(readings_, [](const Reading& r) { return r.ready; });
      if (reading == readings_.end()) return;
      BeginShared(slot, *reading);
    }
  }

  void BeginShared(Slot& slot, Reading& reading) {
    BeginSample(slot, reading.index, reading.begun);
    slot.prompt.KeepCommon(reading.prompt.held);
    slot.prompt.cache.CopyFrom(reading.prompt.cache, slot.prompt.cache.length());
    slot.prompt.held = reading.prompt.held;
    slot.pending = {Ids(slot.index).back()};
    if (++reading.begun < options_.samples) return;
    reading.index = -1;
    reading.ready = false;
  }

  void BeginSample(Slot& slot, int64_t prompt, int64_t sample) {
    slot.index = prompt;
    slot.sample = sample;
    slot.sampler.emplace(options_.sampler, Seed(slot), vocab_size_);
    slot.ids.clear();
    slot.in_prompt = true;
    slot.ended = false;
  }

  uint64_t Seed(const Slot& slot) const {
    return prompts_[slot.index].seed + static_cast<uint64_t>(slot.sample);
  }

  // Of the next prompts, what is to be read.
  std::vector<Step> PromptSteps() {
    std::vector<Step> steps;
    for (Reading& reading : readings_) {
      if (reading.index >= 0 || next_prompt_ == std::ssize(prompts_)) continue;
      reading.index = next_prompt_++;
      reading.begun = 0;
      const auto ids = Ids(reading.index);
      const auto read = ids.first(ids.size() - 1);
      reading.prompt.KeepCommon(read);
      const auto rest = read.subspan(reading.prompt.held.size());
      reading.prompt.held.assign(read.begin(), read.end());
      if (rest.empty()) continue;
      steps.push_back({.cache = &reading.prompt.cache,
                       .tokens = rest,
                       .activation = options_.prompt_activation,
                       .wanted = LogitsWanted::kNone});
    }
    return steps;
  }

  Step SlotStep(Slot& slot) {
    return {.cache = &slot.prompt.cache,
            .tokens = slot.pending,
            .activation = slot.in_prompt ? options_.prompt_activation : options_.activation,
            .seed = Seed(slot),
            .logits = Logits(slot)};
  }

  float* Logits(const Slot& slot) const {
    return logits_.data() + (&slot - slots_.data()) * vocab_size_;
  }

  bool NothingLeft() const {
    const auto idle = [](const Reading& reading) { return reading.index < 0; };
    return next_prompt_ == std::ssize(prompts_) && std::ranges::all_of(readings_, idle);
  }

  // Draws the next token of every sample; a vocabulary takes its time.
  void SampleTokens() {
    std::vector<std::exception_ptr> errors(slots_.size());
    workspace_.pool->ParallelFor(static_cast<int>(slots_.size()), [&](int i, int) {
      Slot& slot = slots_[i];
      if (slot.index < 0) return;
      try {
        const int32_t id = slot.sampler->Sample({Logits(slot), static_cast<size_t>(vocab_size_)},
                                                slot.prompt.cache.length());
        slot.sampler->Accept(id);
        slot.ids.push_back(id);
        slot.pending = {id};
        slot.in_prompt = false;
        slot.ended =
            options_.stops[id] || static_cast<int64_t>(slot.ids.size()) == options_.max_tokens;
      } catch (const std::exception&) {
        errors[i] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

  // Takes the samples that ended out of their slots.
  bool Collect(const SamplesCallback& on_done) {
    for (Slot& slot : slots_) {
      if (slot.index < 0 || !slot.ended) continue;
      const int64_t prompt = slot.index;
      samples_[prompt].resize(options_.samples);
      samples_[prompt][slot.sample] = std::move(slot.ids);
      slot.index = -1;
      if (--left_[prompt] > 0) continue;
      if (!on_done(prompt, samples_[prompt])) return false;
      samples_[prompt] = {};
    }
    return true;
  }

  const Model& model_;
  std::span<const SamplePrompt> prompts_;
  const SamplingOptions& options_;
  Workspace& workspace_;
  int64_t vocab_size_;
  std::vector<std::vector<std::vector<int32_t>>> samples_;  // [prompt][sample], of those begun
  std::vector<int64_t> left_;                               // [prompt], samples that have not ended
  int64_t next_prompt_ = 0;
  int64_t next_sample_ = 0;  // of next_prompt_, where prompts are not shared
  std::vector<Reading> readings_;
  std::vector<Slot> slots_;
  Buffer<float> logits_;  // [slots, vocab_size]
};

}  // namespace

void SampleAll(const Model& model, std::span<const SamplePrompt> prompts,
               const SamplingOptions& options, Workspace& workspace, const SamplesCallback& on_done,
               const std::function<bool()>& cancelled) {
  if (prompts.empty()) return;
  Sampling(model, prompts, options, workspace).Run(on_done, cancelled);
}

}  // namespace stocha
