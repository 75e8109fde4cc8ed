// The next token out of logits: repetition penalty, temperature, top-k, top-p, min-p, in this order
// and with the meaning of transformers' logits processors; then one draw.
//
// The draw is Philox4x32-10 with the request's seed as key and counter (0, position, 2^32 - 1, 0),
// which no coin uses (their third word is a layer): it depends on nothing else, so a sample can be
// had again from its seed, on any number of threads and beside any others.
#ifndef STOCHA_ENGINE_SAMPLER_H_
#define STOCHA_ENGINE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

namespace stocha {

struct SamplerOptions {
  double temperature = 0;         // 0: the likeliest token, no draw
  int64_t top_k = 0;              // keep the k likeliest (and what ties with them); 0: all
  double top_p = 1;               // keep the likeliest that add up to p, (0, 1]; 1: all
  double min_p = 0;               // keep those at least min_p times as likely as the likeliest
  double repetition_penalty = 1;  // > 0; divides positive logits of tokens seen, multiplies others
};

// Throws UsageError, naming the option, on a value out of range.
void ValidateSamplerOptions(const SamplerOptions& options);

// A token that may be drawn, and its probability relative to the others (not normalised).
struct Candidate {
  int32_t id = 0;
  double weight = 0;
};

// Of one sequence.
class Sampler {
 public:
  Sampler(const SamplerOptions& options, uint64_t seed, int64_t vocab_size);

  // Counts `id` as seen, for the repetition penalty: the prompt's tokens and each one sampled.
  void Accept(int32_t id) { seen_[static_cast<size_t>(id)] = true; }

  // The token at `position`. Throws Error when the logits hold NaN or infinity.
  int32_t Sample(std::span<const float> logits, int64_t position);

  // What Sample draws from, for temperature > 0, in no order.
  std::vector<Candidate> Candidates(std::span<const float> logits) const;

 private:
  std::vector<float> Penalized(std::span<const float> logits) const;

  SamplerOptions options_;
  uint64_t seed_;
  std::vector<bool> seen_;  // [vocab_size]
};

}  // namespace stocha

#endif  // STOCHA_ENGINE_SAMPLER_H_
