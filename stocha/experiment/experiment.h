// An experiment: one base recipe, and the arms and settings that differ from it, as one TOML file.
//
//   seeds = [1, 2, 3]
//   learning_rates = [1e-3, 2e-3, 4e-3]   # left out or one: no scan
//
//   [text]                                # tokenised once; or [base.data] names shards
//   tokenizer = "tokenizer.json"
//   train = ["books.jsonl.zst"]
//   validation = ["other.txt"]           # or validation_fraction = 0.05: the end of `train`
//
//   [base]                                # a recipe; keys: docs/recipe-keys.md
//   ...
//   [[setting]]                           # each arm runs at each of them; none: at the base alone
//   name = "small"
//   recipe.model.hidden_size = 128
//
//   [[arm]]
//   name = "relu"
//   recipe.activation = [{ activation = "relu" }]
//   # seeds, learning_rates: instead of those above; settings = ["small"]: at these alone
//
// An arm at a setting is a group of runs. Its first seed runs with every learning rate; the rate
// with the lowest validation loss is the group's, and its other seeds run with that one alone.
#ifndef STOCHA_EXPERIMENT_EXPERIMENT_H_
#define STOCHA_EXPERIMENT_EXPERIMENT_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/model/config.h"
#include "stocha/recipe/recipe.h"

namespace stocha {

struct ExperimentText {
  std::string tokenizer;
  std::vector<std::string> train;
  std::vector<std::string> validation;
  double validation_fraction = 0;  // of `train`, held back when `validation` is empty
  bool add_special = true;         // what the tokenizer puts around a text; false: texts have it

  bool validates() const { return !validation.empty() || validation_fraction > 0; }
  bool empty() const { return train.empty(); }
};

// One training run of a group.
struct ExperimentRun {
  uint64_t seed = 1;
  double learning_rate = 0;
};

struct RunGroup {
  std::string arm;
  std::string setting;  // empty when the experiment has none
  std::vector<uint64_t> seeds;
  std::vector<double> learning_rates;
  Recipe recipe;      // of every run but for seed and learning rate
  ModelConfig model;  // what is trained: the recipe's, or that of its init_from (CompleteModels)

  // "small-relu", or "relu" without settings.
  std::string name() const;
  // "small-relu-lr0.002-seed1", the run's folder.
  std::string NameOf(const ExperimentRun& run) const;
  Recipe RecipeOf(const ExperimentRun& run) const;
  // How many there will be.
  size_t num_runs() const { return learning_rates.size() + seeds.size() - 1; }
  // The first seed with every rate.
  std::vector<ExperimentRun> FirstRuns() const;
  // The other seeds, with the rate that was chosen.
  std::vector<ExperimentRun> OtherRuns(double learning_rate) const;
};

struct Experiment {
  ExperimentText text;  // empty: the groups' recipes name shards
  std::vector<RunGroup> groups;

  size_t num_runs() const;
};

struct ExperimentOptions {
  std::filesystem::path base;    // of relative paths in the file
  std::filesystem::path shards;  // where [text] will be as train.tokens, validation.tokens
  std::span<const std::string> overrides;  // "table.key=value", as a recipe takes them
  ExperimentText text;                     // in place of what [text] says, where not empty
};

// Throws Error with file, line and column on anything that is no experiment.
Experiment ParseExperiment(std::string_view toml, std::string_view where,
                           const ExperimentOptions& options);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_EXPERIMENT_H_
