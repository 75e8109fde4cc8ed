#include "stocha/engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "stocha/base/error.h"
#include "stocha/base/philox.h"

namespace stocha {
namespace {

constexpr uint32_t kSamplerStream = 0xFFFFFFFF;  // where a coin's counter has its layer

void Require(bool valid, const char* option, double got, const char* expected) {
  if (valid) return;
  throw UsageError({.where = option,
                    .what = "value out of range",
                    .got = fmt::format("{:g}", got),
                    .expected = expected});
}

// Uniform in [0, 1), 53 bits.
double Uniform(uint64_t seed, int64_t position) {
  const PhiloxBlock block =
      Philox4x32(seed, {0, static_cast<uint32_t>(position), kSamplerStream, 0});
  const uint64_t bits = (uint64_t{block[0]} << 32) | block[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// Keeps the k with the largest weights, and those that tie with the least of them.
void KeepTopK(size_t k, std::vector<Candidate>* candidates) {
  if (k >= candidates->size()) return;
  std::vector<double> weights;
  for (const Candidate& candidate : *candidates) weights.push_back(candidate.weight);
  std::nth_element(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(k) - 1,
                   weights.end(), std::greater<>());
  const double least = weights[k - 1];
  std::erase_if(*candidates, [least](const Candidate& c) { return c.weight < least; });
}

// Keeps each one that is preceded, in order of falling weight, by less than `p` of the total.
void KeepTopP(double p, std::vector<Candidate>* candidates) {
  double total = 0;
  for (const Candidate& candidate : *candidates) total += candidate.weight;
  // A heap, since only a few of a large vocabulary are taken from the top.
  const auto less = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.id > b.id;
  };
  std::make_heap(candidates->begin(), candidates->end(), less);
  auto end = candidates->end();
  double before = 0;
  do {
    std::pop_heap(candidates->begin(), end, less);
    --end;
    before += end->weight;
  } while (end != candidates->begin() && before < p * total);
  candidates->erase(candidates->begin(), end);
}

}  // namespace

void ValidateSamplerOptions(const SamplerOptions& options) {
  const double temperature = options.temperature;
  Require(temperature >= 0 && std::isfinite(temperature), "temperature", temperature,
          "0 (greedy) or more");
  Require(options.top_k >= 0, "top-k", static_cast<double>(options.top_k), "0 (all) or more");
  Require(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p, "above 0, at most 1");
  Require(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p, "0 to 1");
  const double penalty = options.repetition_penalty;
  Require(penalty > 0 && std::isfinite(penalty), "repetition-penalty", penalty, "above 0");
}

Sampler::Sampler(const SamplerOptions& options, uint64_t seed, int64_t vocab_size)
    : options_(options), seed_(seed), seen_(static_cast<size_t>(vocab_size), false) {
  ValidateSamplerOptions(options);
}

std::vector<float> Sampler::Penalized(std::span<const float> logits) const {
  std::vector<float> scores(logits.begin(), logits.end());
  for (const float score : scores) {
    if (std::isfinite(score)) continue;
    throw Error({.where = "sampler",
                 .what = "the model's logits are not finite",
                 .got = fmt::format("{}", score),
                 .hint = "the weights are damaged, or the activation is not the model's"});
  }
  if (options_.repetition_penalty == 1) return scores;
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (size_t id = 0; id < scores.size(); ++id) {
    if (seen_[id]) scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  }
  return scores;
}

std::vector<Candidate> Sampler::Candidates(std::span<const float> logits) const {
  const std::vector<float> scores = Penalized(logits);
  const double largest = *std::max_element(scores.begin(), scores.end());
  std::vector<Candidate> candidates(scores.size());
  for (size_t id = 0; id < scores.size(); ++id) {
    candidates[id] = {.id = static_cast<int32_t>(id),
                      .weight = std::exp((scores[id] - largest) / options_.temperature)};
  }
  if (options_.top_k > 0) KeepTopK(static_cast<size_t>(options_.top_k), &candidates);
  if (options_.top_p < 1) KeepTopP(options_.top_p, &candidates);
  // The likeliest has weight 1.
  const double least = options_.min_p;
  std::erase_if(candidates, [least](const Candidate& c) { return c.weight < least; });
  return candidates;
}

int32_t Sampler::Sample(std::span<const float> logits, int64_t position) {
  if (options_.temperature == 0) {
    const std::vector<float> scores = Penalized(logits);
    return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  const std::vector<Candidate> candidates = Candidates(logits);
  double total = 0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  double left = Uniform(seed_, position) * total;
  for (const Candidate& candidate : candidates) {
    left -= candidate.weight;
    if (left < 0) return candidate.id;
  }
  // Rounding: the sum of the weights, taken one by one, fell short of the total.
  return std::ranges::max(candidates, {}, &Candidate::weight).id;
}

}  // namespace stocha
