// stocha calibrate: a packed model with the neurons that fire often first, and with thresholds that
// make it sparser.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/calibrate_thresholds.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/eval_tasks.h"
#include "stocha/cli/model_source.h"
#include "stocha/engine/calibrate.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int kMaxThreads = 1024;
constexpr int64_t kMaxTokens = int64_t{1} << 40;
constexpr double kMaxSparsity = 0.999;
const std::vector<double> kCurveSparsities = {0.5, 0.6, 0.7, 0.8, 0.9};

struct CalibrateFlags {
  std::string model;
  std::string output;  // empty: none, a curve alone
  std::string text;
  std::string validation;        // empty: none
  std::string html;              // empty: none
  std::string activation;        // empty: the model's
  std::vector<double> sparsity;  // empty: no thresholds are looked for
  std::string sharing = "equal";
  int64_t tokens = 16384;             // 0: all of the text
  int64_t validation_tokens = 16384;  // likewise
  int threads = 0;                    // 0: all processors
  bool json = false;
};

void CheckFlags(const CalibrateFlags& flags) {
  const auto require = [](bool holds, const char* what, const char* expected) {
    if (!holds) throw UsageError({.where = "calibrate", .what = what, .expected = expected});
  };
  require(!flags.output.empty() || !flags.validation.empty(), "nothing to do",
          "OUT, a packed model to write, or --validation FILE, for a curve");
  require(flags.output.empty() || flags.sparsity.size() <= 1, "OUT holds one model",
          "one --sparsity, or several without OUT");
  require(flags.output.empty() || flags.validation.empty() || !flags.sparsity.empty(),
          "nothing to validate", "--sparsity with it");
  require(flags.html.empty() || !flags.validation.empty(), "no curve for --html",
          "--validation FILE with it");
}

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

// The first `limit` tokens of a file; 0: all.
std::vector<int32_t> FirstTokens(const Tokenizer& tokenizer, const std::string& file,
                                 int64_t limit) {
  std::vector<int32_t> ids = tokenizer.Encode(ReadFile(file));
  if (limit != 0 && std::ssize(ids) > limit) ids.resize(static_cast<size_t>(limit));
  if (ids.empty()) throw Error({.where = file, .what = "no text in it"});
  return ids;
}

// Of all layers, [kFiredParts].
std::vector<double> MeanParts(const std::vector<float>& fired) {
  std::vector<double> mean(kFiredParts, 0);
  const double layers = static_cast<double>(fired.size()) / static_cast<double>(kFiredParts);
  for (size_t i = 0; i < fired.size(); ++i) mean[i % kFiredParts] += fired[i] / layers;
  return mean;
}

OrderedJson SummaryJson(const CalibrateFlags& flags, const Firing& firing) {
  const std::vector<float> fired = firing.Parts();
  return {{"model", flags.model},
          {"output", flags.output},
          {"tokens", firing.tokens},
          {"fired_by_tenth", MeanParts(fired)},
          {"fired_by_layer_and_tenth", fired}};
}

void PrintSummary(const CalibrateFlags& flags, const Firing& firing) {
  fmt::print("counted     {} tokens\n", firing.tokens);
  fmt::print("fired       of each tenth of the neurons, hottest first, %:");
  for (const double part : MeanParts(firing.Parts())) fmt::print(" {:.1f}", 100 * part);
  fmt::print("\nwritten     {}\n", Printable(flags.output, 1000));
}

// What one call of the command does, once its model and texts are there.
class Calibration {
 public:
  explicit Calibration(const CalibrateFlags& flags)
      : flags_(flags),
        packed_(OpenPacked(flags.model)),
        activation_(SparseActivation(flags, packed_.model.header.config)),
        tokenizer_((CheckLayout(packed_.model.header, flags.model), LoadTokenizer(flags.model))),
        ids_(FirstTokens(tokenizer_, flags.text, flags.tokens)),
        pool_(flags.threads == 0 ? AvailableProcessors() : flags.threads),
        stop_("\nstopping; press Ctrl-C again to quit at once\n") {}

  void Run() {
    Firing firing;
    std::optional<ThresholdCurve> curve;
    {
      Model model(packed_.model.header.config, std::move(packed_.model.weights));
      if (flags_.sparsity.empty() && !flags_.output.empty()) {
        firing = Count(model);
      } else {
        curve = MakeCurve(&model, &firing);
      }
    }
    if (curve && !flags_.html.empty()) WriteFile(flags_.html, RenderCurve(*curve));
    if (!flags_.output.empty()) Write(firing);
    Print(firing, curve);
  }

 private:
  void Check() const {
    if (stop_.requested()) throw Error({.where = "calibrate", .what = "interrupted"});
  }

  CalibrationText Text() const {
    const int64_t most = packed_.model.header.config.max_position_embeddings;
    return {.ids = ids_, .context = std::min(kDefaultContext, most), .activation = activation_};
  }

  Firing Count(const Model& model) {
    Progress progress({.label = "calibrate", .unit = "tok", .total = ids_.size()});
    return CountFiring(model, Text(), pool_, [&](int64_t tokens) {
      Check();
      progress.Update(static_cast<uint64_t>(tokens), static_cast<double>(tokens), "");
    });
  }

  ThresholdCurve MakeCurve(Model* model, Firing* firing) {
    ThresholdTask task = {
        .text = Text(),
        .sparsities = flags_.sparsity.empty() ? kCurveSparsities : flags_.sparsity,
        .sharing = flags_.sharing == "equal" ? Sharing::kEqual : Sharing::kLeastHarm};
    std::vector<int32_t> validation;
    if (!flags_.validation.empty()) {
      validation = FirstTokens(tokenizer_, flags_.validation, flags_.validation_tokens);
      task.validation = validation;
      task.perplexity = DefaultPerplexity(model->config(), tokenizer_);
      task.perplexity.activation = activation_;
    }
    ThresholdResult result = RunThresholds(model, task, pool_, [this] { Check(); });
    *firing = std::move(result.firing);
    // Those that are 0 everywhere are none, which any other loader may pass over.
    std::vector<float> thresholds = model->config().thresholds;
    if (std::ranges::all_of(thresholds, [](float t) { return t == 0; })) thresholds.clear();
    packed_.model.header.config.thresholds = std::move(thresholds);
    if (!flags_.sparsity.empty()) packed_.model.header.config.activation = activation_;
    return {.model = flags_.model,
            .text = flags_.text,
            .validation = flags_.validation,
            .sharing = flags_.sharing,
            .tokens = std::ssize(ids_),
            .points = std::move(result.points)};
  }

  void Write(const Firing& firing) {
    Progress progress({.label = "write", .unit = "B", .total = packed_.file.file.bytes().size()});
    WriteHotFirst(packed_.file.content, packed_.model, firing, flags_.output, [&](int64_t bytes) {
      Check();
      progress.Update(static_cast<uint64_t>(bytes), static_cast<double>(bytes), "");
    });
  }

  void Print(const Firing& firing, const std::optional<ThresholdCurve>& curve) const {
    if (!flags_.json) {
      if (curve) PrintCurve(*curve);
      if (!flags_.output.empty()) PrintSummary(flags_, firing);
      return;
    }
    OrderedJson json = curve ? CurveJson(*curve) : OrderedJson::object();
    if (!flags_.output.empty()) json.update(SummaryJson(flags_, firing));
    fmt::print("{}\n", json.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
  }

  const CalibrateFlags& flags_;
  PackedModelFile packed_;
  Activation activation_;
  Tokenizer tokenizer_;
  std::vector<int32_t> ids_;
  ThreadPool pool_;
  StopSignal stop_;
};

void RunCalibrate(const CalibrateFlags& flags) {
  CheckFlags(flags);
  Calibration(flags).Run();
}

}  // namespace

void AddCalibrateCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<CalibrateFlags>();
  CLI::App* sub = app.add_subcommand(
      "calibrate",
      "Order a packed model's neurons by how often they fire on a text; make it sparser");
  sub->add_option("MODEL", flags->model, "packed model (stocha quantize)")->required();
  sub->add_option("OUT", flags->output,
                  "packed model to write; may be MODEL. Without it: a curve, with --validation");
  sub->add_option("--text", flags->text, "text like the one that the model will see")->required();
  sub->add_option("--sparsity", flags->sparsity,
                  "fraction of all neurons to leave silent, by a threshold a layer that replaces "
                  "the model's; several (0.6,0.7) for a curve")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(0.0, kMaxSparsity));
  sub->add_option("--sharing", flags->sharing,
                  "of --sparsity among layers; equal: the same for each; harm: more where what is "
                  "left out weighs least, which may be better or worse: try --validation")
      ->capture_default_str()
      ->check(CLI::IsMember({"equal", "harm"}));
  sub->add_option("--validation", flags->validation,
                  "another text: perplexity on it, as of eval, without thresholds and with them");
  sub->add_option("--html", flags->html, "page to write of the curve");
  const auto add_tokens = [&](const char* flag, int64_t* tokens, const char* help) {
    sub->add_option(flag, *tokens, help)
        ->capture_default_str()
        ->check(CLI::Range(int64_t{0}, kMaxTokens));
  };
  add_tokens("--tokens", &flags->tokens, "of the text, from its start; 0: all");
  add_tokens("--validation-tokens", &flags->validation_tokens, "likewise");
  sub->add_option("--activation", flags->activation,
                  "relu or relu2; default: the model's. With --sparsity, OUT has it too");
  sub->add_option("--threads", flags->threads, "0: all processors")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxThreads));
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer(
      "For a model larger than memory: what fires often then stands together, stays in memory, and "
      "the rest is seldom read. Logits stay the same within rounding; with --sparsity they do not, "
      "and the model is marked: docs/models.md\n\nExample:\n"
      "  stocha calibrate demo-q8_0.gguf demo-hot.gguf --text text.txt\n"
      "  stocha calibrate demo-q8_0.gguf --text text.txt --validation other.txt --html curve.html\n"
      "  stocha calibrate demo-q8_0.gguf demo-80.gguf --text text.txt --sparsity 0.8");
  sub->callback([flags, &run] { run = [flags] { RunCalibrate(*flags); }; });
}

}  // namespace stocha
