// stocha bench --json.
#include <nlohmann/json.hpp>

#include "stocha/bench/report.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr FfnMode kModes[] = {FfnMode::kDense, FfnMode::kExact, FfnMode::kScreened};

// {"dense": ..., "exact": ..., "screened": ...}, null for a mode that was not measured.
template <typename Value>
OrderedJson ByMode(const BenchReport& report, const Value& value) {
  OrderedJson json;
  for (const FfnMode mode : kModes) {
    OrderedJson& entry = json[std::string(FfnModeName(mode))];
    for (const ModeFigures& figures : report.modes) {
      if (figures.mode == mode) entry = value(figures);
    }
  }
  return json;
}

OrderedJson SamplesJson(const Samples& samples) {
  return {{"values", samples.values}, {"min", samples.Min()}, {"max", samples.Max()}};
}

OrderedJson GainJson(const std::optional<Gain>& gain) {
  if (!gain) return nullptr;
  return {
      {"ratio", gain->ratio}, {"ceiling", gain->ceiling}, {"cache_effect", gain->cache_effect()}};
}

}  // namespace

std::string ReportJson(const BenchReport& report) {
  const Machine& machine = report.machine;
  const MeasureOptions& options = report.options;
  const OrderedJson json = {
      {"model", report.model},
      {"type", report.type},
      {"random_weights", report.random_weights},
      {"machine",
       {{"cpu", machine.cpu},
        {"cores", machine.cores},
        {"isa", machine.isa},
        {"features", machine.features}}},
      {"threads", report.threads},
      {"prompt_tokens", options.prompt_tokens},
      {"gen_tokens", options.gen_tokens},
      {"batch", options.batch},
      {"prefill", options.prefill == PrefillMode::kFast ? "fast" : "exact"},
      {"read_bandwidth_gb_s", report.read_bandwidth / 1e9},
      {"read_bandwidth_buffer_bytes", report.bandwidth_buffer_bytes},
      {"active_fraction", ActiveFraction(report)},
      {"active_fraction_by_layer", WholeMode(report).active_fraction},
      {"decode_tokens_per_s",
       ByMode(report, [](const ModeFigures& mode) { return mode.decode_tokens_per_s.Median(); })},
      {"prefill_tokens_per_s",
       ByMode(report, [](const ModeFigures& mode) { return mode.prefill_tokens_per_s.Median(); })},
      {"ffn_us_per_token",
       ByMode(report, [](const ModeFigures& mode) { return mode.ffn_us_per_token.Median(); })},
      {"bytes_per_token",
       ByMode(report, [](const ModeFigures& mode) { return mode.bytes_per_token; })},
      {"ffn_bytes_per_token",
       ByMode(report, [](const ModeFigures& mode) { return mode.ffn_bytes_per_token; })},
      {"share_of_bandwidth",
       ByMode(report, [](const ModeFigures& mode) { return ShareOfBandwidth(mode); })},
      {"decode_gain",
       ByMode(report, [&](const ModeFigures& mode) { return GainJson(DecodeGain(report, mode)); })},
      {"ffn_gain",
       ByMode(report, [&](const ModeFigures& mode) { return GainJson(FfnGain(report, mode)); })},
      {"firing_found",
       ByMode(report, [&](const ModeFigures& mode) { return FiringFound(report, mode); })},
      {"rounds",
       {{"decode_tokens_per_s",
         ByMode(report,
                [](const ModeFigures& mode) { return SamplesJson(mode.decode_tokens_per_s); })},
        {"prefill_tokens_per_s",
         ByMode(report,
                [](const ModeFigures& mode) { return SamplesJson(mode.prefill_tokens_per_s); })},
        {"ffn_us_per_token",
         ByMode(report,
                [](const ModeFigures& mode) { return SamplesJson(mode.ffn_us_per_token); })},
        {"read_bandwidth", ByMode(report, [](const ModeFigures& mode) {
           return SamplesJson(mode.read_bandwidth);
         })}}}};
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace stocha
