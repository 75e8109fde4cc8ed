#include "stocha/cli/sampler_flags.h"

namespace stocha {

void AddMaxTokensFlag(CLI::App* sub, int64_t* max_tokens) {
  sub->add_option("--max-tokens", *max_tokens, "at most so many new tokens")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, kMaxTokenCount));
}

void AddSamplerFlags(CLI::App* sub, SamplerOptions* options) {
  sub->add_option("--temperature", options->temperature, "0: always the likeliest token")
      ->capture_default_str();
  sub->add_option("--top-k", options->top_k, "draw from the k likeliest; 0: from all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokenCount));
  sub->add_option("--top-p", options->top_p, "draw from the likeliest that add up to p")
      ->capture_default_str();
  sub->add_option("--min-p", options->min_p,
                  "draw from those min-p times as likely as the likeliest")
      ->capture_default_str();
  sub->add_option("--repetition-penalty", options->repetition_penalty,
                  "above 1: tokens seen before become less likely")
      ->capture_default_str();
}

}  // namespace stocha
