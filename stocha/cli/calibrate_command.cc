// stocha calibrate: a packed model with the neurons that fire often first.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/model_source.h"
#include "stocha/engine/calibrate.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int kMaxThreads = 1024;
constexpr int64_t kMaxTokens = int64_t{1} << 40;
constexpr int64_t kMaxContext = 1024;

struct CalibrateFlags {
  std::string model;
  std::string output;
  std::string text;
  std::string activation;  // empty: the model's
  int64_t tokens = 16384;  // 0: all of the text
  int threads = 0;         // 0: all processors
  bool json = false;
};

PackedModelFile OpenPacked(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error({.where = path,
                 .what = "not a packed model",
                 .got = "a folder",
                 .expected = "a .gguf of `stocha quantize`",
                 .hint = "run `stocha quantize " + path + " OUT.gguf --type q8_0` first"});
  }
  return PackedModelFile::Open(path);
}

void CheckLayout(const PackedHeader& header, const std::string& path) {
  if (header.layout == FfnLayout::kNeurons) return;
  throw Error({.where = path,
               .what = "its up and down are matrices, not neuron by neuron",
               .hint = "quantize again with --layout neurons"});
}

Activation SparseActivation(const CalibrateFlags& flags, const ModelConfig& config) {
  const Activation activation = ActivationFlag(flags.activation, config.activation);
  if (activation.sparse()) return activation;
  throw Error({.where = flags.model,
               .what = "every neuron fires for every token",
               .got = "activation " + ToString(activation),
               .expected = "relu or relu2",
               .hint = "end its training with ReLU first; --activation relu counts as if it had"});
}

std::vector<int32_t> TextTokens(const CalibrateFlags& flags) {
  std::vector<int32_t> ids = LoadTokenizer(flags.model).Encode(ReadFile(flags.text));
  const auto limit = static_cast<size_t>(flags.tokens);
  if (limit != 0 && ids.size() > limit) ids.resize(limit);
  if (ids.empty()) throw Error({.where = flags.text, .what = "no text in it"});
  return ids;
}

// Of all layers, [kFiredParts].
std::vector<double> MeanParts(const std::vector<float>& fired) {
  std::vector<double> mean(kFiredParts, 0);
  const double layers = static_cast<double>(fired.size()) / static_cast<double>(kFiredParts);
  for (size_t i = 0; i < fired.size(); ++i) mean[i % kFiredParts] += fired[i] / layers;
  return mean;
}

void PrintSummary(const CalibrateFlags& flags, const Firing& firing) {
  const std::vector<float> fired = firing.Parts();
  const std::vector<double> mean = MeanParts(fired);
  if (flags.json) {
    const OrderedJson json = {{"model", flags.model},
                              {"output", flags.output},
                              {"tokens", firing.tokens},
                              {"fired_by_tenth", mean},
                              {"fired_by_layer_and_tenth", fired}};
    fmt::print("{}\n", json.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
    return;
  }
  fmt::print("counted     {} tokens\n", firing.tokens);
  fmt::print("fired       of each tenth of the neurons, hottest first, %:");
  for (const double part : mean) fmt::print(" {:.1f}", 100 * part);
  fmt::print("\nwritten     {}\n", Printable(flags.output, 1000));
}

void RunCalibrate(const CalibrateFlags& flags) {
  PackedModelFile packed = OpenPacked(flags.model);
  const ModelConfig config = packed.model.header.config;
  const Activation activation = SparseActivation(flags, config);
  CheckLayout(packed.model.header, flags.model);
  const std::vector<int32_t> ids = TextTokens(flags);
  const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
  const auto check = [&stop] {
    if (stop.requested()) throw Error({.where = "calibrate", .what = "interrupted"});
  };
  Firing firing;
  {
    const Model model(config, std::move(packed.model.weights));
    ThreadPool pool(flags.threads == 0 ? AvailableProcessors() : flags.threads);
    Progress progress({.label = "calibrate", .unit = "tok", .total = ids.size()});
    const int64_t context = std::min(kMaxContext, config.max_position_embeddings);
    firing = CountFiring(model, ids, activation, context, pool, [&](int64_t tokens) {
      check();
      progress.Update(static_cast<uint64_t>(tokens), static_cast<double>(tokens), "");
    });
  }
  {
    Progress progress({.label = "write", .unit = "B", .total = packed.file.file.bytes().size()});
    WriteHotFirst(packed.file.content, packed.model, firing, flags.output, [&](int64_t bytes) {
      check();
      progress.Update(static_cast<uint64_t>(bytes), static_cast<double>(bytes), "");
    });
  }
  PrintSummary(flags, firing);
}

}  // namespace

void AddCalibrateCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<CalibrateFlags>();
  CLI::App* sub = app.add_subcommand(
      "calibrate", "Order a packed model's neurons by how often they fire on a text");
  sub->add_option("MODEL", flags->model, "packed model (stocha quantize)")->required();
  sub->add_option("OUT", flags->output, "packed model to write; may be MODEL")->required();
  sub->add_option("--text", flags->text, "text like the one that the model will see")->required();
  sub->add_option("--tokens", flags->tokens, "of the text, from its start; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokens));
  sub->add_option("--activation", flags->activation, "relu or relu2; default: the model's");
  sub->add_option("--threads", flags->threads, "0: all processors")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxThreads));
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer(
      "For a model larger than memory: what fires often then stands together, stays in memory, and "
      "the rest is seldom read. Logits stay the same within rounding.\n\nExample:\n"
      "  stocha calibrate demo-q8_0.gguf demo-hot.gguf --text text.txt");
  sub->callback([flags, &run] { run = [flags] { RunCalibrate(*flags); }; });
}

}  // namespace stocha
