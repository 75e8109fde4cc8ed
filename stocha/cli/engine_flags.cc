#include "stocha/cli/engine_flags.h"

#include <charconv>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr int kMaxThreads = 1024;

// CLI11 takes -1 for 2^64 - 1, and anything larger for that too.
std::string CheckUnsigned(const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && parsed == end ? "" : "not an integer from 0 to 2^64 - 1: " + text;
}

// The activation and the mode of prompts are checked before the model is loaded, and used after.
FfnMode CheckFlags(const EngineFlags& flags) {
  ActivationFlag(flags.activation, {});
  ParsePrefillMode(flags.prefill, "--prefill");
  return ParseFfnMode(flags.ffn, "--ffn");
}

}  // namespace

void AddEngineFlags(CLI::App* sub, EngineFlags* flags) {
  sub->add_option("MODEL", flags->model, "model directory or packed .gguf")->required();
  sub->add_option("--activation", flags->activation,
                  "relu, silu, relu2, stocha:P or expected:P; default: the checkpoint's");
  sub->add_option(
         "--ffn", flags->ffn,
         "dense, exact (only neurons that fire; the same bits), auto (the faster of these), "
         "or screened (a gate in planes is read in part; may miss neurons that just fire)")
      ->capture_default_str();
  sub->add_option("--prefill", flags->prefill, kPrefillHelp)->capture_default_str();
  sub->add_option("--input-bits", flags->input_bits,
                  "of the vectors that packed rows are multiplied with: 8, or 16 (nearer to what "
                  "the weights say, and slower: docs/models.md)")
      ->capture_default_str()
      ->check(CLI::IsMember({8, 16}));
  sub->add_option("--seed", flags->seed, "of every draw")
      ->capture_default_str()
      ->check(&CheckUnsigned);
  sub->add_option("--threads", flags->threads, "0: all processors")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxThreads));
}

// A flag's value that does not parse is a usage error, whatever the parser threw.
Activation ActivationFlag(const std::string& text, const Activation& otherwise) {
  if (text.empty()) return otherwise;
  try {
    return ParseActivation(text, "--activation");
  } catch (const Error& error) {
    throw UsageError({.what = error.what()});
  }
}

LoadedEngine::LoadedEngine(const EngineFlags& flags)
    : ffn_mode(CheckFlags(flags)),
      pool(flags.threads == 0 ? AvailableProcessors() : flags.threads),
      model(Model::Load(flags.model, pool)),
      activation(ActivationFlag(flags.activation, model.config().activation)),
      workspace(model.config(), &pool,
                {.ffn_mode = ffn_mode,
                 .depth = flags.input_bits == 16 ? QuantizedDepth::kFine : QuantizedDepth::kCoarse,
                 .prefill = ParsePrefillMode(flags.prefill, "--prefill")}) {}

std::vector<int32_t> CheckIds(const std::vector<int64_t>& ids, const ModelConfig& config) {
  std::vector<int32_t> checked;
  for (const int64_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      throw Error({.where = "--ids",
                   .what = "id outside the vocabulary",
                   .got = std::to_string(id),
                   .expected = "0 to " + std::to_string(config.vocab_size - 1)});
    }
    checked.push_back(static_cast<int32_t>(id));
  }
  return checked;
}

nlohmann::ordered_json SparsityJson(const std::vector<LayerStats>& layers,
                                    const ModelConfig& config) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const LayerStats& layer : layers) {
    json.push_back(1 - layer.ActiveFraction(config.intermediate_size));
  }
  return json;
}

double MeanSparsity(const std::vector<LayerStats>& layers, const ModelConfig& config) {
  LayerStats total;
  for (const LayerStats& layer : layers) total += layer;
  return 1 - total.ActiveFraction(config.intermediate_size);
}

}  // namespace stocha
