#include "stocha/experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/recipe/recipe_table.h"

namespace stocha {
namespace {

constexpr size_t kMaxRuns = 1000;
constexpr size_t kMaxVariants = 100;  // arms, and settings
constexpr size_t kMaxNameBytes = 60;
constexpr NumberRange kSeeds{.min = 0, .max = kLargestCount};

// An [[arm]] or a [[setting]].
struct Variant {
  std::string where;
  std::string name;
  std::vector<double> seeds;
  std::vector<double> learning_rates;
  std::vector<std::string> settings;
  toml::table recipe;
};

// Names become folders.
bool IsFolderName(const std::string& name) {
  const bool plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '+' || c == '-';
  });
  return plain && !name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' && name[0] != '-';
}

template <typename T>
void CheckDistinct(std::vector<T> values, const std::string& where, const std::string& what) {
  std::ranges::sort(values);
  const auto twice = std::ranges::adjacent_find(values);
  if (twice == values.end()) return;
  throw Error({.where = where, .what = what + " twice", .got = fmt::format("{}", *twice)});
}

std::vector<uint64_t> WholeSeeds(const std::vector<double>& numbers, const std::string& where) {
  std::vector<uint64_t> seeds;
  for (const double number : numbers) {
    if (number != std::floor(number)) {
      throw Error({.where = where,
                   .what = "seeds",
                   .got = fmt::format("{}", number),
                   .expected = "whole numbers"});
    }
    seeds.push_back(static_cast<uint64_t>(number));
  }
  return seeds;
}

// Takes the table at `key` out of another; an empty one when there is none.
toml::table TakeTable(toml::table* from, std::string_view key, const RecipeSource& source) {
  toml::node* node = from->get(key);
  if (node == nullptr) return {};
  if (!node->is_table()) {
    throw Error({.where = source.Where(node->source()),
                 .what = std::string(key),
                 .expected = "a table of recipe keys"});
  }
  toml::table taken = std::move(*node->as_table());
  from->erase(key);
  return taken;
}

std::vector<toml::table> TakeTables(toml::table* from, std::string_view key,
                                    const RecipeSource& source) {
  toml::node* node = from->get(key);
  if (node == nullptr) return {};
  if (!node->is_array_of_tables() || node->as_array()->size() > kMaxVariants) {
    throw Error({.where = source.Where(node->source()),
                 .what = std::string(key),
                 .expected = fmt::format("1 to {} tables [[{}]]", kMaxVariants, key)});
  }
  std::vector<toml::table> taken;
  for (toml::node& item : *node->as_array()) taken.push_back(std::move(*item.as_table()));
  from->erase(key);
  return taken;
}

// One reading of the file. Tables are moved out of it, for a copy would not know its line; so every
// group is made from a reading of its own.
class Reading {
 public:
  Reading(std::string_view toml, const RecipeSource& source, const ExperimentOptions& options)
      : source_(source) {
    toml::table table = ParseToml(toml, source.file);
    for (const std::string& text : options.overrides) ApplyOverride(text, &table);
    base_ = TakeTable(&table, "base", source_);
    std::vector<toml::table> settings = TakeTables(&table, "setting", source_);
    std::vector<toml::table> arms = TakeTables(&table, "arm", source_);
    RecipeReader reader(table, source_);
    Variant shared;
    reader.Numbers("seeds", shared.seeds, kSeeds);
    reader.Numbers("learning_rates", shared.learning_rates, kPositive);
    reader.Path("text.tokenizer", text_.tokenizer, "");
    reader.Paths("text.train", text_.train, "");
    reader.Paths("text.validation", text_.validation, "");
    reader.Field("text.validation_fraction", text_.validation_fraction, kBelowOne, "");
    reader.RejectUnknownKeys();
    ReplaceText(options.text);
    if (!text_.empty()) AddShards(options.shards);
    for (size_t i = 0; i < settings.size(); ++i) {
      settings_.push_back(Read(fmt::format("setting[{}].", i), &settings[i], shared, false));
    }
    for (size_t i = 0; i < arms.size(); ++i) {
      arms_.push_back(Read(fmt::format("arm[{}].", i), &arms[i], shared, true));
    }
    CheckNames(settings_, "setting");
    CheckNames(arms_, "arm");
    if (arms_.empty()) {
      throw Error({.where = source.file, .what = "no [[arm]]", .expected = "at least one"});
    }
    if (settings_.empty()) settings_.emplace_back();  // the base alone
  }

  size_t num_settings() const { return settings_.size(); }
  size_t num_arms() const { return arms_.size(); }
  const ExperimentText& text() const { return text_; }

  bool RunsAt(size_t arm, size_t setting) const {
    const std::vector<std::string>& names = arms_[arm].settings;
    return names.empty() || std::ranges::find(names, settings_[setting].name) != names.end();
  }

  // Leaves this reading of no further use.
  RunGroup TakeGroup(size_t arm_index, size_t setting_index) {
    Variant& arm = arms_[arm_index];
    MergeTable(&base_, std::move(settings_[setting_index].recipe));
    MergeTable(&base_, std::move(arm.recipe));
    RunGroup group{.arm = arm.name,
                   .setting = settings_[setting_index].name,
                   .seeds = WholeSeeds(arm.seeds, arm.where),
                   .learning_rates = arm.learning_rates,
                   .recipe = RecipeOfTable(base_, source_)};
    if (group.seeds.empty()) group.seeds = {group.recipe.seed};
    if (group.learning_rates.empty()) group.learning_rates = {group.recipe.learning_rate};
    CheckDistinct(group.seeds, arm.where, "a seed");
    CheckDistinct(group.learning_rates, arm.where, "a learning rate");
    if (group.learning_rates.size() > 1 && group.recipe.validation.empty()) {
      throw Error(
          {.where = arm.where, .what = "learning_rates, but no validation data to choose by"});
    }
    return group;
  }

 private:
  Variant Read(const std::string& name, toml::table* table, const Variant& shared,
               bool is_arm) const {
    Variant variant{.where = source_.Where(table->source()),
                    .seeds = shared.seeds,
                    .learning_rates = shared.learning_rates,
                    .recipe = TakeTable(table, "recipe", source_)};
    RecipeReader reader(*table, source_, name);
    reader.Text("name", variant.name);
    if (is_arm) {
      reader.Numbers("seeds", variant.seeds, kSeeds);
      reader.Numbers("learning_rates", variant.learning_rates, kPositive);
      reader.Texts("settings", variant.settings);
    }
    reader.RejectUnknownKeys();
    if (!IsFolderName(variant.name)) {
      throw Error({.where = variant.where,
                   .what = name + "name",
                   .got = "\"" + variant.name + "\"",
                   .expected = fmt::format("1 to {} letters, digits and ._+-", kMaxNameBytes)});
    }
    for (const std::string& setting : variant.settings) {
      if (std::ranges::find(settings_, setting, &Variant::name) != settings_.end()) continue;
      throw Error({.where = variant.where,
                   .what = name + "settings",
                   .got = "\"" + setting + "\"",
                   .expected = "names of [[setting]]"});
    }
    return variant;
  }

  void CheckNames(const std::vector<Variant>& variants, const std::string& kind) const {
    std::vector<std::string> names;
    names.reserve(variants.size());
    for (const Variant& variant : variants) names.push_back(variant.name);
    CheckDistinct(names, source_.file, "one name of [[" + kind + "]]");
  }

  void ReplaceText(const ExperimentText& given) {
    if (!given.tokenizer.empty()) text_.tokenizer = given.tokenizer;
    if (!given.train.empty()) text_.train = given.train;
    if (!given.validation.empty()) text_.validation = given.validation;
    if (text_.train.empty() && !text_.validation.empty()) {
      throw Error({.where = source_.file,
                   .what = "no text to train on",
                   .hint = "name it in [text] train or with --text"});
    }
    if (!text_.empty() && text_.tokenizer.empty()) {
      throw Error({.where = source_.file,
                   .what = "no tokenizer for the text",
                   .hint = "name it in [text] tokenizer or with --tokenizer"});
    }
  }

  // What [text] will have been made into.
  void AddShards(const std::filesystem::path& folder) {
    toml::table data;
    data.insert("train", (folder / "train.tokens").string());
    if (text_.validates()) {
      data.insert("validation", (folder / "validation.tokens").string());
    }
    toml::table table;
    table.insert("data", std::move(data));
    table.insert("model", toml::table{{"tokenizer", text_.tokenizer}});
    MergeTable(&base_, std::move(table));
  }

  const RecipeSource& source_;
  toml::table base_;
  std::vector<Variant> settings_;
  std::vector<Variant> arms_;
  ExperimentText text_;
};

}  // namespace

std::string RunGroup::name() const { return setting.empty() ? arm : setting + "-" + arm; }

std::string RunGroup::NameOf(const ExperimentRun& run) const {
  return fmt::format("{}-lr{}-seed{}", name(), run.learning_rate, run.seed);
}

Recipe RunGroup::RecipeOf(const ExperimentRun& run) const {
  Recipe whole = recipe;
  whole.seed = run.seed;
  whole.learning_rate = run.learning_rate;
  return whole;
}

std::vector<ExperimentRun> RunGroup::FirstRuns() const {
  std::vector<ExperimentRun> runs;
  runs.reserve(learning_rates.size());
  for (const double rate : learning_rates) {
    runs.push_back({.seed = seeds[0], .learning_rate = rate});
  }
  return runs;
}

std::vector<ExperimentRun> RunGroup::OtherRuns(double learning_rate) const {
  std::vector<ExperimentRun> runs;
  runs.reserve(seeds.size());
  for (size_t i = 1; i < seeds.size(); ++i) {
    runs.push_back({.seed = seeds[i], .learning_rate = learning_rate});
  }
  return runs;
}

size_t Experiment::num_runs() const {
  size_t runs = 0;
  for (const RunGroup& group : groups) runs += group.num_runs();
  return runs;
}

Experiment ParseExperiment(std::string_view toml, std::string_view where,
                           const ExperimentOptions& options) {
  const RecipeSource source{.file = std::string(where), .base = options.base};
  const Reading first(toml, source, options);
  Experiment experiment{.text = first.text()};
  for (size_t setting = 0; setting < first.num_settings(); ++setting) {
    for (size_t arm = 0; arm < first.num_arms(); ++arm) {
      if (!first.RunsAt(arm, setting)) continue;
      experiment.groups.push_back(Reading(toml, source, options).TakeGroup(arm, setting));
      if (experiment.num_runs() <= kMaxRuns) continue;
      throw Error({.where = source.file,
                   .what = "too many runs",
                   .expected = fmt::format("at most {}", kMaxRuns)});
    }
  }
  return experiment;
}

}  // namespace stocha
