#include "stocha/bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "stocha/bench/bandwidth.h"

namespace stocha {
namespace {

const ModeFigures* Find(const BenchReport& report, FfnMode mode) {
  const auto found = std::ranges::find(report.modes, mode, &ModeFigures::mode);
  return found == report.modes.end() ? nullptr : &*found;
}

// Of rates: mode / dense, round by round.
double MedianRatio(const Samples& above, const Samples& below) {
  Samples ratios;
  for (size_t i = 0; i < above.values.size(); ++i) {
    ratios.values.push_back(above.values[i] / below.values[i]);
  }
  return ratios.Median();
}

using Cell = std::function<std::string(const ModeFigures&)>;

std::string Row(const BenchReport& report, const std::string& name, const Cell& cell) {
  std::string line = fmt::format("{:<26}", name);
  for (const ModeFigures& mode : report.modes) line += fmt::format("{:>26}", cell(mode));
  return line + "\n";
}

// Three digits or more.
std::string Number(double value) {
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string Spread(const Samples& samples) {
  return Number(samples.Median()) + " (" + Number(samples.Min()) + " to " + Number(samples.Max()) +
         ")";
}

std::string Megabytes(double bytes) { return fmt::format("{:.1f}", bytes / 1e6); }

std::string GainCell(const std::optional<Gain>& gain) {
  if (!gain) return "-";
  return fmt::format("{:.2f} of {:.2f}{}", gain->ratio, gain->ceiling,
                     gain->cache_effect() ? " *" : "");
}

bool AnyCacheEffect(const BenchReport& report) {
  return std::ranges::any_of(report.modes, [&](const ModeFigures& mode) {
    const auto decode = DecodeGain(report, mode);
    const auto ffn = FfnGain(report, mode);
    return (decode && decode->cache_effect()) || (ffn && ffn->cache_effect());
  });
}

std::string Head(const BenchReport& report) {
  const Machine& machine = report.machine;
  std::string text =
      fmt::format("model      {}, {}{}\n", report.model, report.type,
                  report.random_weights ? ", random weights: speeds only, no quality" : "");
  text +=
      fmt::format("machine    {}, {} cores; kernels {}\n", machine.cpu, machine.cores, machine.isa);
  text +=
      fmt::format("run        {} threads, prompt {}{}, decode {}, batch {}, {} rounds in turn\n",
                  report.threads, report.options.prompt_tokens,
                  report.options.prefill == PrefillMode::kFast ? " (fast)" : "",
                  report.options.gen_tokens, report.options.batch, report.options.rounds);
  text += fmt::format("bandwidth  {:.1f} GB/s, ", report.read_bandwidth / 1e9);
  if (report.bandwidth_buffer_bytes == 0) {
    text += "as given\n";
  } else {
    const double gib = static_cast<double>(report.bandwidth_buffer_bytes) / (1 << 30);
    text += fmt::format("best of 5 passes over {:.2f} GiB{}\n", gib,
                        report.bandwidth_buffer_bytes < kBandwidthBytes
                            ? " (memory is short for more: may be too high)"
                            : "");
  }
  text += fmt::format("active     {:.2f} % of neurons; by layer:", 100 * ActiveFraction(report));
  for (const double fraction : WholeMode(report).active_fraction) {
    text += fmt::format(" {:.1f}", 100 * fraction);
  }
  return text + "\n\n";
}

}  // namespace

std::optional<Gain> DecodeGain(const BenchReport& report, const ModeFigures& mode) {
  const ModeFigures* dense = Find(report, FfnMode::kDense);
  if (dense == nullptr || dense == &mode) return std::nullopt;
  return Gain{.ratio = MedianRatio(mode.decode_tokens_per_s, dense->decode_tokens_per_s),
              .ceiling = dense->bytes_per_token / mode.bytes_per_token};
}

std::optional<Gain> FfnGain(const BenchReport& report, const ModeFigures& mode) {
  const ModeFigures* dense = Find(report, FfnMode::kDense);
  if (dense == nullptr || dense == &mode) return std::nullopt;
  return Gain{.ratio = MedianRatio(dense->ffn_us_per_token, mode.ffn_us_per_token),
              .ceiling = dense->ffn_bytes_per_token / mode.ffn_bytes_per_token};
}

double ShareOfBandwidth(const ModeFigures& mode) {
  return mode.bytes_per_token * MedianRatio(mode.decode_tokens_per_s, mode.read_bandwidth);
}

const ModeFigures& WholeMode(const BenchReport& report) {
  for (const FfnMode mode : {FfnMode::kExact, FfnMode::kDense}) {
    if (const ModeFigures* found = Find(report, mode)) return *found;
  }
  return report.modes.front();
}

double FiringFound(const BenchReport& report, const ModeFigures& mode) {
  if (mode.mode != FfnMode::kScreened) return 1;
  const double all = WholeMode(report).ffn_fired_per_token;
  return all == 0 ? 1 : mode.ffn_fired_per_token / all;
}

double ActiveFraction(const BenchReport& report) {
  const std::vector<double>& layers = WholeMode(report).active_fraction;
  return std::accumulate(layers.begin(), layers.end(), 0.0) / static_cast<double>(layers.size());
}

std::string ReportText(const BenchReport& report) {
  const auto row = [&](const std::string& name, const Cell& cell) {
    return Row(report, name, cell);
  };
  std::string text = Head(report);
  text += row("", [](const ModeFigures& mode) { return std::string(FfnModeName(mode.mode)); });
  text += row("prefill, tok/s",
              [](const ModeFigures& mode) { return Spread(mode.prefill_tokens_per_s); });
  text += row("decode, tok/s",
              [](const ModeFigures& mode) { return Spread(mode.decode_tokens_per_s); });
  text +=
      row("  MB a token", [](const ModeFigures& mode) { return Megabytes(mode.bytes_per_token); });
  text += row("  share of bandwidth", [](const ModeFigures& mode) {
    return fmt::format("{:.3f} of {:.1f} GB/s", ShareOfBandwidth(mode),
                       mode.read_bandwidth.Median() / 1e9);
  });
  text += row("  x dense, bytes allow",
              [&](const ModeFigures& mode) { return GainCell(DecodeGain(report, mode)); });
  text += row("FFN only, us a token",
              [](const ModeFigures& mode) { return Spread(mode.ffn_us_per_token); });
  text += row("  MB a token",
              [](const ModeFigures& mode) { return Megabytes(mode.ffn_bytes_per_token); });
  text += row("  x dense, bytes allow",
              [&](const ModeFigures& mode) { return GainCell(FfnGain(report, mode)); });
  text += row("  firing neurons found", [&](const ModeFigures& mode) {
    return fmt::format("{:.2f} %", 100 * FiringFound(report, mode));
  });
  if (AnyCacheEffect(report)) {
    text += "* cache effect: more than the bytes not read explain, so dense is not at its limit\n";
  }
  return text;
}

}  // namespace stocha
