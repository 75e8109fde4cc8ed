// stocha quantize: a model as one packed file, which the engine maps and uses as it is.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/command.h"
#include "stocha/cli/model_source.h"
#include "stocha/engine/quantize.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr int kMaxThreads = 1024;

struct QuantizeFlags {
  std::string model;
  std::string output;
  std::string type;
  std::string layout = "auto";
  int threads = 0;  // 0: all processors
  bool no_tokenizer = false;
  bool json = false;
};

// Neurons apart pay only where some are silent.
FfnLayout ChooseLayout(const QuantizeFlags& flags, const ModelConfig& config) {
  if (flags.layout == "neurons") return FfnLayout::kNeurons;
  if (flags.layout == "rows") return FfnLayout::kRows;
  return config.activation.kind == ActivationKind::kSilu ? FfnLayout::kRows : FfnLayout::kNeurons;
}

// The weights are mapped while the output is renamed over whatever has its name.
void CheckOutput(const QuantizeFlags& flags) {
  std::error_code ignored;
  const fs::path output = flags.output;
  const fs::path folder = output.has_parent_path() ? output.parent_path() : ".";
  const bool own_file = output.extension() != ".gguf" && fs::exists(output, ignored) &&
                        fs::equivalent(folder, flags.model, ignored);
  if (!own_file && !fs::equivalent(output, flags.model, ignored)) return;
  throw Error({.where = flags.output,
               .what = "would replace the model that is read",
               .hint = "choose another output file"});
}

OrderedJson PartsJson(const std::vector<QuantizedPart>& parts) {
  OrderedJson json = OrderedJson::array();
  for (const QuantizedPart& part : parts) {
    json.push_back({{"part", part.part},
                    {"type", WeightTypeName(part.type)},
                    {"wanted", WeightTypeName(part.wanted)},
                    {"bytes", part.bytes},
                    {"relative_error", part.RelativeError()}});
  }
  return json;
}

void PrintSummary(const QuantizeFlags& flags, const std::vector<QuantizedPart>& parts,
                  uintmax_t file_bytes, const std::string& rounded_down) {
  fmt::print("{:<10} {:<12} {:>15} {:>15}\n", "part", "type", "bytes", "relative error");
  for (const QuantizedPart& part : parts) {
    fmt::print("{:<10} {:<12} {:>15} {:>14.4f}%", part.part, WeightTypeName(part.type), part.bytes,
               100 * part.RelativeError());
    if (part.type != part.wanted) {
      fmt::print("  its rows are no whole blocks of {}", WeightTypeName(part.wanted));
    } else if (part.part == "down" && !rounded_down.empty() && IsPacked(part.type)) {
      fmt::print("  was {} along its other axis, rounded again", rounded_down);
    }
    fmt::print("\n");
  }
  fmt::print("{}: {} bytes\n", Printable(flags.output, 1000), file_bytes);
}

void RunQuantize(const QuantizeFlags& flags) {
  const QuantizeType type = ParseQuantizeType(flags.type, "--type");
  CheckOutput(flags);
  const ModelSource model = OpenModelSource(flags.model, !flags.no_tokenizer);
  ThreadPool pool(flags.threads == 0 ? AvailableProcessors() : flags.threads);
  const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
  std::vector<QuantizedPart> parts;
  {
    const auto total = static_cast<uint64_t>(CountParameters(model.source.header.config));
    Progress progress({.label = "quantize", .unit = "weights", .total = total});
    const FfnLayout layout = ChooseLayout(flags, model.source.header.config);
    parts = Quantize(model.source, type, layout, flags.output, pool, [&](int64_t done) {
      if (stop.requested()) throw Error({.where = "quantize", .what = "interrupted"});
      progress.Update(static_cast<uint64_t>(done), static_cast<double>(done), "");
    });
  }
  const uintmax_t file_bytes = fs::file_size(flags.output);
  if (!flags.json) return PrintSummary(flags, parts, file_bytes, model.rounded_down);
  OrderedJson json = {{"model", flags.model}, {"output", flags.output},    {"type", flags.type},
                      {"bytes", file_bytes},  {"parts", PartsJson(parts)}, {"down_was", nullptr}};
  if (!model.rounded_down.empty()) json["down_was"] = model.rounded_down;
  fmt::print("{}\n", json.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
}

}  // namespace

void AddQuantizeCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<QuantizeFlags>();
  CLI::App* sub = app.add_subcommand("quantize", "Write a model as one packed file");
  sub->add_option("MODEL", flags->model,
                  "model directory, or GGUF of architecture llama, qwen2, qwen3 or stocha")
      ->required();
  sub->add_option("OUT", flags->output, "packed model to write, a .gguf")->required();
  sub->add_option("--type", flags->type,
                  "f32, bf16, q8_0, q4_0, q4_k, or mixed (gate in 4 bits, the rest in 8)")
      ->required();
  sub->add_option("--layout", flags->layout,
                  "neurons: up and down row by row, so that silent neurons are passed over; rows: "
                  "matrices, the fastest where all fire; auto: rows for SiLU, else neurons")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "neurons", "rows"}));
  sub->add_option("--threads", flags->threads, "0: all processors")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxThreads));
  sub->add_flag(kNoTokenizerFlag, flags->no_tokenizer, kNoTokenizerHelp);
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer(
      "Shows what each part became, and the relative error of its weights. Rows that are no whole "
      "number of blocks of 32 become bf16.\n\nExample:\n"
      "  stocha quantize models/demo demo-q8_0.gguf --type q8_0\n"
      "  stocha generate demo-q8_0.gguf --prompt \"In the beginning\"");
  sub->callback([flags, &run] { run = [flags] { RunQuantize(*flags); }; });
}

}  // namespace stocha
