#include "stocha/train/training_state.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/recipe/schedule.h"
#include "stocha/train/export.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVersion = 1;
constexpr uint64_t kMaxStateBytes = 1 << 20;
constexpr char kPrefix[] = "step-";
constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kFirstMoment[] = "first_moment.";
constexpr char kSecondMoment[] = "second_moment.";

// Eight digits and more sort by name as by number up to 10^8 steps; ListCheckpoints sorts by
// number.
std::string FolderName(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof(name), "%s%08lld", kPrefix, static_cast<long long>(step));
  return name;
}

// step-N folders, newest first; temporaries and strangers are not among them.
std::vector<std::pair<int64_t, fs::path>> ListCheckpoints(const fs::path& checkpoints) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints, ignored)) {
    const std::string name = entry.path().filename().string();
    const std::string digits = name.substr(std::min(name.size(), std::strlen(kPrefix)));
    if (digits.empty() || digits.size() > 18) continue;
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    const int64_t step = std::stoll(digits);
    if (name == FolderName(step)) found.emplace_back(step, entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

std::string FactsToJson(const RunFacts& facts) {
  return Json{{"version", kVersion},
              {"step", facts.step},
              {"threads", facts.threads},
              {"train_windows", facts.train_windows},
              {"torch", facts.torch}}
             .dump(2) +
         "\n";
}

RunFacts ReadFacts(const fs::path& file) {
  const Json json = ParseJson(ReadFile(file, kMaxStateBytes), file.string());
  const JsonObject object(json, file.string());
  object.Integer("version", kVersion, kVersion);
  return {.step = object.Integer("step", 0),
          .threads = object.Integer("threads", 1),
          .train_windows = static_cast<uint64_t>(object.Integer("train_windows", 1)),
          .torch = object.String("torch")};
}

// Throws Error unless every moment of `specs` is there, in f32.
void CheckOptimizer(const SavedState& state) {
  for (const TensorSpec& spec : ListTensors(state.model.config)) {
    for (const char* prefix : {kFirstMoment, kSecondMoment}) {
      const TensorView* view = state.optimizer.Find(prefix + spec.name);
      if (view != nullptr && view->shape == spec.shape && view->dtype == DType::kF32) continue;
      throw Error({.where = (state.directory / kOptimizerFile).string(),
                   .what = "lacks " + (prefix + spec.name) + " in F32 with its weight's shape"});
    }
  }
}

SavedState ReadState(const fs::path& directory) {
  SavedState state{.directory = directory,
                   .facts = ReadFacts(directory / "state.json"),
                   .recipe = ReadRecipe(directory / "recipe.toml"),
                   .model = OpenCheckpoint(directory),
                   .optimizer = SafetensorsReader::Open(directory / kOptimizerFile)};
  if (state.facts.step > state.recipe.steps) {
    throw Error({.where = (directory / "state.json").string(),
                 .what = "more steps than the recipe has",
                 .got = std::to_string(state.facts.step),
                 .expected = "at most " + std::to_string(state.recipe.steps)});
  }
  CheckOptimizer(state);
  return state;
}

}  // namespace

fs::path SaveState(const fs::path& checkpoints, const Recipe& recipe, const RunFacts& facts,
                   const Transformer& model, const Optimizer& optimizer) {
  const fs::path directory = checkpoints / FolderName(facts.step);
  AtomicDirectory folder(directory);
  const int64_t trained_with = std::clamp<int64_t>(facts.step - 1, 0, recipe.steps - 1);
  ExportModel(model, ActivationAt(recipe, trained_with), DType::kF32, folder.temporary(),
              recipe.tokenizer);
  std::vector<NamedTensor> moments;
  for (size_t i = 0; i < model.specs().size(); ++i) {
    const std::string& name = model.specs()[i].name;
    moments.push_back(BorrowTensor(kFirstMoment + name, optimizer.first_moments()[i]));
    moments.push_back(BorrowTensor(kSecondMoment + name, optimizer.second_moments()[i]));
  }
  WriteSafetensors(folder.temporary() / kOptimizerFile, moments);
  WriteFile(folder.temporary() / "recipe.toml", RecipeToToml(recipe));
  WriteFile(folder.temporary() / "state.json", FactsToJson(facts));
  folder.Commit();

  const auto saved = ListCheckpoints(checkpoints);
  for (size_t i = static_cast<size_t>(recipe.keep_checkpoints); i < saved.size(); ++i) {
    std::error_code ignored;
    fs::remove_all(saved[i].second, ignored);
  }
  return directory;
}

std::optional<SavedState> FindState(const fs::path& checkpoints,
                                    const std::function<void(const std::string&)>& skipped) {
  std::optional<Error> newest;
  for (const auto& [step, directory] : ListCheckpoints(checkpoints)) {
    try {
      return ReadState(directory);
    } catch (const Error& error) {
      if (!newest) newest = error;
      skipped(error.what());
    }
  }
  if (newest) throw *newest;
  return std::nullopt;
}

void RestoreOptimizer(const SavedState& state, std::span<const TensorSpec> specs,
                      Optimizer* optimizer) {
  const auto copy = [&state](const std::string& name, const at::Tensor& moment) {
    const std::span<const std::byte> bytes = state.optimizer.Find(name)->bytes;
    std::memcpy(moment.mutable_data_ptr(), bytes.data(), bytes.size());
  };
  for (size_t i = 0; i < specs.size(); ++i) {
    copy(kFirstMoment + specs[i].name, optimizer->first_moments()[i]);
    copy(kSecondMoment + specs[i].name, optimizer->second_moments()[i]);
  }
  optimizer->set_step(state.facts.step);
}

}  // namespace stocha
