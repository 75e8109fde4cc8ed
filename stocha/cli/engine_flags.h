// The flags shared by the commands that run a model, and the model they open.
#ifndef STOCHA_CLI_ENGINE_FLAGS_H_
#define STOCHA_CLI_ENGINE_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/model.h"
#include "stocha/engine/workspace.h"
#include "stocha/model/activation.h"

namespace stocha {

struct EngineFlags {
  std::string model;
  std::string activation;  // empty: the checkpoint's
  std::string ffn = "auto";
  std::string prefill = "exact";
  uint64_t seed = 0;
  int input_bits = 8;  // 8 or 16
  int threads = 0;     // 0: all processors
};

// Of --prefill, which `bench` has too.
inline constexpr const char* kPrefillHelp =
    "exact (the bits of decoding), or fast (where the machine has AMX, 32 tokens and more of a "
    "prompt "
    "are multiplied in bfloat16: docs/kernels.md)";

// MODEL, --activation, --ffn, --prefill, --input-bits, --seed and --threads.
void AddEngineFlags(CLI::App* sub, EngineFlags* flags);

// What --activation says, or `otherwise` where it is empty. Throws UsageError.
Activation ActivationFlag(const std::string& text, const Activation& otherwise);

// A model ready to run, as the flags say. Throws UsageError on an unknown activation or mode before
// anything is loaded.
struct LoadedEngine {
  explicit LoadedEngine(const EngineFlags& flags);

  FfnMode ffn_mode;
  ThreadPool pool;
  Model model;
  Activation activation;
  Workspace workspace;
};

// ids as the engine takes them; throws Error on one outside the vocabulary.
std::vector<int32_t> CheckIds(const std::vector<int64_t>& ids, const ModelConfig& config);

// Of each layer: the fraction of neurons that did not fire.
nlohmann::ordered_json SparsityJson(const std::vector<LayerStats>& layers,
                                    const ModelConfig& config);
// Of all layers together.
double MeanSparsity(const std::vector<LayerStats>& layers, const ModelConfig& config);

}  // namespace stocha

#endif  // STOCHA_CLI_ENGINE_FLAGS_H_
