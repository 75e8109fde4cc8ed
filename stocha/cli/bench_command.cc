// stocha bench: how fast a model runs on this machine, and how near to what its memory allows.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/memory.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/bench/bandwidth.h"
#include "stocha/bench/measure.h"
#include "stocha/bench/report.h"
#include "stocha/bench/shape.h"
#include "stocha/bench/synthetic_file.h"
#include "stocha/bench/thresholds.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/model_source.h"
#include "stocha/engine/quantize_type.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 20;
constexpr int kMaxThreads = 1024;
constexpr int kMaxRounds = 1000;
constexpr double kMaxBandwidth = 1e6;
constexpr uint64_t kSeed = 2;  // of random tokens; the thresholds were calibrated on others

struct BenchFlags {
  std::string model;
  std::string text;
  std::string activation;  // empty: the model's
  SyntheticSpec synthetic = {.shape = "", .type = "q8_0"};
  std::string cache;  // empty: DefaultCacheFolder()
  std::vector<std::string> ffn = {"all"};
  int64_t prompt_tokens = 512;
  int64_t gen_tokens = 128;
  int64_t batch = 1;
  std::string prefill = "exact";
  int rounds = 3;
  int threads = 0;            // 0: all processors
  double read_bandwidth = 0;  // GB/s; 0: measured
  bool json = false;
};

bool Has(const std::vector<FfnMode>& modes, FfnMode mode) {
  return std::ranges::find(modes, mode) != modes.end();
}

std::vector<FfnMode> ParseModes(const std::vector<std::string>& names) {
  std::vector<FfnMode> modes;
  const auto add = [&modes](FfnMode mode) {
    if (!Has(modes, mode)) modes.push_back(mode);
  };
  for (const std::string& name : names) {
    if (name == "all") {
      for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact, FfnMode::kScreened}) add(mode);
    } else if (const FfnMode mode = ParseFfnMode(name, "--ffn"); mode != FfnMode::kAuto) {
      add(mode);
    } else {
      throw UsageError({.where = "--ffn",
                        .what = "not a mode to measure",
                        .got = "auto",
                        .expected = "dense, exact, screened or all"});
    }
  }
  return modes;
}

// Says what is done, and ends it on Ctrl-C.
class Teller {
 public:
  void Tell(const std::string& doing, double fraction) {
    if (stopped()) throw Error({.where = "bench", .what = "interrupted"});
    progress_.Update(static_cast<uint64_t>(fraction * kSteps), 0.0, doing);
  }
  bool stopped() const { return stop_.requested(); }

 private:
  static constexpr int kSteps = 100;
  StopSignal stop_{"\nstopping; press Ctrl-C again to quit at once\n"};
  Progress progress_{{.label = "bench", .unit = "", .total = kSteps}};
};

void CheckFlags(const BenchFlags& flags) {
  const auto fail = [](const std::string& where, const std::string& what) {
    throw UsageError({.where = where, .what = what, .hint = "see stocha bench --help"});
  };
  if (flags.model.empty() == flags.synthetic.shape.empty()) {
    fail("bench", "give either MODEL, with --text, or --shape");
  }
  if (flags.model.empty() != flags.text.empty()) fail("--text", "goes with MODEL");
  if (!flags.synthetic.shape.empty()) ParseShape(flags.synthetic.shape, "--shape");
  ActivationFlag(flags.activation, {});  // before a model is made
}

std::vector<int32_t> TextTokens(const BenchFlags& flags, int64_t needed) {
  const Tokenizer tokenizer = LoadTokenizer(flags.model);
  std::vector<int32_t> ids = tokenizer.Encode(ReadFile(flags.text));
  if (static_cast<int64_t>(ids.size()) < needed) {
    throw Error({.where = flags.text,
                 .what = "too short",
                 .got = std::to_string(ids.size()) + " tokens",
                 .expected = std::to_string(needed) + ", prompt and decode of each sequence",
                 .hint = "lower --prompt-tokens, --gen-tokens or --batch"});
  }
  ids.resize(static_cast<size_t>(needed));
  return ids;
}

// The model's file, made if it is a shape's.
std::string FindModel(const BenchFlags& flags, FfnLayout layout, ThreadPool& pool, Teller& teller) {
  if (!flags.model.empty()) return flags.model;
  const std::filesystem::path folder =
      flags.cache.empty() ? DefaultCacheFolder() : std::filesystem::path(flags.cache);
  SyntheticSpec spec = flags.synthetic;
  spec.layout = layout;
  return FindOrMakeSynthetic(spec, folder, pool,
                             [&teller](const std::string& doing) { teller.Tell(doing, 0); });
}

void MeasureBandwidth(const BenchFlags& flags, ThreadPool& pool, Teller& teller,
                      BenchReport* report) {
  if (flags.read_bandwidth != 0) {
    report->read_bandwidth = flags.read_bandwidth * 1e9;
    report->options.read_bandwidth = [given = report->read_bandwidth] { return given; };
    return;
  }
  teller.Tell("measuring read bandwidth", 0);
  report->bandwidth_buffer_bytes = BandwidthBufferBytes(AvailableMemory());
  const auto probe = std::make_shared<BandwidthProbe>(report->bandwidth_buffer_bytes, pool);
  report->read_bandwidth = probe->Best([&teller] { return teller.stopped(); });
  report->options.read_bandwidth = [probe] { return probe->Pass(); };
}

// "q8_0", or that of the gate too where it is another.
std::string TypesOf(const Weights& weights) {
  const LayerWeights& layer = weights.layers.front();
  std::string types(WeightTypeName(layer.up.type));
  if (layer.gate.type != layer.up.type) {
    types += ", gate " + std::string(WeightTypeName(layer.gate.type));
  }
  return types;
}

BenchReport Bench(const BenchFlags& flags, Teller& teller) {
  BenchReport report = {.model = flags.model.empty() ? flags.synthetic.shape : flags.model,
                        .random_weights = flags.model.empty(),
                        .threads = flags.threads == 0 ? AvailableProcessors() : flags.threads,
                        .machine = DescribeMachine(SelectedIsa()),
                        .options = {.modes = ParseModes(flags.ffn),
                                    .prompt_tokens = flags.prompt_tokens,
                                    .gen_tokens = flags.gen_tokens,
                                    .batch = flags.batch,
                                    .rounds = flags.rounds,
                                    .prefill = ParsePrefillMode(flags.prefill, "--prefill")}};
  ThreadPool pool(report.threads);
  // Dense, what the others are compared with, has the layout that is best for it.
  const bool dense = flags.model.empty() && Has(report.options.modes, FfnMode::kDense);
  const bool alone = dense && report.options.modes.size() == 1;
  const auto load = [&](FfnLayout layout) {
    return Model::Load(FindModel(flags, layout, pool, teller), pool);
  };
  const Model model = load(alone ? FfnLayout::kRows : FfnLayout::kNeurons);
  std::optional<Model> dense_model;
  if (dense && !alone) {
    dense_model = load(FfnLayout::kRows);
    report.options.dense_model = &*dense_model;
  }
  report.type = flags.model.empty() ? flags.synthetic.type : TypesOf(model.weights());
  report.options.activation = ActivationFlag(flags.activation, model.config().activation);
  const int64_t needed = TokensNeeded(report.options);
  const std::vector<int32_t> ids =
      flags.text.empty() ? RandomTokens(model.config(), needed, kSeed) : TextTokens(flags, needed);
  MeasureBandwidth(flags, pool, teller, &report);
  report.modes = Measure(
      model, ids, report.options, pool,
      [&teller](const std::string& doing, double fraction) { teller.Tell(doing, fraction); });
  return report;
}

void RunBench(const BenchFlags& flags) {
  CheckFlags(flags);
  BenchReport report;
  {
    Teller teller;
    report = Bench(flags, teller);
    teller.Tell("done", 1);
  }
  fmt::print("{}", flags.json ? ReportJson(report) : ReportText(report));
}

void AddModelFlags(CLI::App* sub, BenchFlags* flags) {
  sub->add_option("MODEL", flags->model, "model directory or packed model; needs --text");
  sub->add_option("--text", flags->text, "text file whose tokens go through MODEL");
  sub->add_option("--activation", flags->activation,
                  "relu, silu, relu2, stocha:P or expected:P; default: the model's");
  sub->add_option("--shape", flags->synthetic.shape,
                  "random weights instead: " + ShapeNames() +
                      " or D,F,L,H,KV,V (hidden, FFN, layers, heads, KV heads, vocabulary)");
  sub->add_option("--type", flags->synthetic.type, "of --shape's weights")
      ->capture_default_str()
      ->check(CLI::IsMember(QuantizeTypeNames()));
  sub->add_option("--sparsity", flags->synthetic.sparsity,
                  "of --shape: the fraction of neurons that stay silent")
      ->capture_default_str();
  sub->add_option("--cache", flags->cache,
                  "folder for the models that --shape makes; default: $XDG_CACHE_HOME/stocha-bench "
                  "or ~/.cache/stocha-bench");
}

void AddRunFlags(CLI::App* sub, BenchFlags* flags) {
  sub->add_option("--ffn", flags->ffn, "dense, exact, screened or all; may be repeated")
      ->capture_default_str();
  sub->add_option("--prompt-tokens", flags->prompt_tokens, "of the prefill, a sequence")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, kMaxTokens));
  sub->add_option("--gen-tokens", flags->gen_tokens, "decoded one by one, a sequence")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, kMaxTokens));
  sub->add_option("--batch", flags->batch, "sequences that are decoded together")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, kPassTokens));
  sub->add_option("--prefill", flags->prefill, kPrefillHelp)->capture_default_str();
  sub->add_option("--rounds", flags->rounds, "each of all modes in turn")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxRounds));
  sub->add_option("--threads", flags->threads, "0: all processors")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxThreads));
  sub->add_option("--read-bandwidth", flags->read_bandwidth,
                  "GB/s of this machine; 0: measure it, with 4 GiB of memory")
      ->capture_default_str()
      ->check(CLI::Range(0.0, kMaxBandwidth));
  sub->add_flag("--json", flags->json, "print JSON");
}

}  // namespace

void AddBenchCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* sub = app.add_subcommand(
      "bench", "Measure how fast a model runs here, against what the memory allows");
  AddModelFlags(sub, flags.get());
  AddRunFlags(sub, flags.get());
  sub->footer(
      "Examples:\n"
      "  stocha bench --shape llama-3.2-1b --type q8_0 --sparsity 0.9 --threads 2\n"
      "  stocha bench models/demo --text text.txt");
  sub->callback([flags, &run] { run = [flags] { RunBench(*flags); }; });
}

}  // namespace stocha
