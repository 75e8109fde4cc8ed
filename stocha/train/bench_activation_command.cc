// stocha-train bench-activation: what the stochastic activation costs on this machine.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "stocha/base/progress.h"
#include "stocha/train/bench_activation.h"
#include "stocha/train/commands.h"

namespace stocha {
namespace {

struct BenchFlags {
  int64_t rounds = 15;
  int64_t threads = 2;
  bool json = false;
};

using Json = nlohmann::ordered_json;

Json ToJson(const ActivationBenchmark& benchmark) {
  const ActivationVariant& stochastic = benchmark.variants[ActivationBenchmark::kStochastic];
  const ActivationVariant& naive = benchmark.variants[ActivationBenchmark::kNaive];
  const auto quartiles = [](const Spread& spread) { return Json{spread.low, spread.high}; };
  Json json = {
      {"step_overhead_percent", stochastic.overhead_percent.median},
      {"step_overhead_percent_quartiles", quartiles(stochastic.overhead_percent)},
      {"naive_step_overhead_percent", naive.overhead_percent.median},
      {"naive_step_overhead_percent_quartiles", quartiles(naive.overhead_percent)},
      {"step_ms", stochastic.step_ms.median},
      {"step_ms_quartiles", quartiles(stochastic.step_ms)},
      {"tokens_per_s", benchmark.tokens_per_s()},
      {"parameters", benchmark.parameters},
      {"tokens_per_step", benchmark.tokens_per_step},
      {"rounds", benchmark.rounds},
      {"threads", benchmark.threads},
      {"isa", benchmark.isa},
  };
  for (const ActivationVariant& variant : benchmark.variants) {
    json["variants"].push_back(
        {{"name", variant.name},
         {"what", variant.what},
         {"step_ms", variant.step_ms.median},
         {"step_ms_quartiles", quartiles(variant.step_ms)},
         {"overhead_percent", variant.overhead_percent.median},
         {"overhead_percent_quartiles", quartiles(variant.overhead_percent)}});
  }
  return json;
}

void PrintTable(const ActivationBenchmark& benchmark) {
  std::printf(
      "%.1f M parameters, %lld tokens a step, bf16, %lld threads, %s, median of %lld "
      "(quartiles)\n\n",
      static_cast<double>(benchmark.parameters) / 1e6,
      static_cast<long long>(benchmark.tokens_per_step), static_cast<long long>(benchmark.threads),
      benchmark.isa.c_str(), static_cast<long long>(benchmark.rounds));
  std::printf("%-28s %-26s %s\n", "gated activation", "ms a step", "over the faster SiLU");
  for (const ActivationVariant& variant : benchmark.variants) {
    const Spread& ms = variant.step_ms;
    const Spread& over = variant.overhead_percent;
    std::printf("%-28s %7.1f (%.1f to %.1f)%*s %+.1f %% (%+.1f to %+.1f)\n", variant.what.c_str(),
                ms.median, ms.low, ms.high, 0, "", over.median, over.low, over.high);
  }
  std::printf("\n%.0f tokens/s with stocha:0.7\n", benchmark.tokens_per_s());
}

void BenchActivationCommand(const BenchFlags& flags) {
  ActivationBenchmark benchmark;
  {
    Progress progress({.label = "bench-activation",
                       .unit = "rounds",
                       .total = static_cast<uint64_t>(flags.rounds)});
    benchmark = BenchActivation(flags.rounds, flags.threads, [&](int64_t done) {
      progress.Update(static_cast<uint64_t>(done), static_cast<double>(done), "");
    });
  }
  if (flags.json) {
    std::printf("%s\n", ToJson(benchmark).dump().c_str());
  } else {
    PrintTable(benchmark);
  }
}

}  // namespace

void AddBenchActivationCommand(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<BenchFlags>();
  CLI::App* sub = app.add_subcommand(
      "bench-activation", "Time training steps with a stochastic activation against SiLU");
  sub->add_option("--rounds", flags->rounds, "Steps of each variant")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  sub->add_option("--threads", flags->threads, "Threads of torch")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  sub->add_flag("--json", flags->json, "Print the figures as one JSON object");
  sub->footer("Example:\n  stocha-train bench-activation --rounds 30 --threads 2");
  sub->callback([&run, flags] { run = [flags] { BenchActivationCommand(*flags); }; });
}

}  // namespace stocha
