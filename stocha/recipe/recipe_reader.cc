#include "stocha/recipe/recipe_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "stocha/base/edit_distance.h"
#include "stocha/base/error.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

std::string SourcePath(const toml::source_region& region) {
  return region.path ? *region.path : std::string();
}

// The node as an error shows it.
std::string Describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return "\"" + text->get() + "\"";
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return "a date or time";
}

// The known key that `key` was most likely meant to be; empty when none is near.
std::string NearestKey(std::string_view key, std::span<const std::string> known) {
  constexpr size_t kLongest = 100;  // of a key worth comparing
  if (key.size() > kLongest) return "";
  std::string nearest;
  size_t least = 3 + key.size() / 8;
  for (const std::string& candidate : known) {
    // A right name in a wrong table counts as one slip.
    const size_t distance =
        LastPartOfKey(candidate) == LastPartOfKey(key) ? 1 : EditDistance<char>(candidate, key);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

bool IsTableOfKnown(const std::string& key, std::span<const std::string> known) {
  return std::ranges::any_of(known,
                             [&](const std::string& name) { return name.starts_with(key + "."); });
}

}  // namespace

std::string RecipeSource::Where(const toml::source_region& region) const {
  std::string path = SourcePath(region);
  if (path != file) return path;
  return fmt::format("{}:{}:{}", path, region.begin.line, region.begin.column);
}

fs::path RecipeSource::BaseOf(const toml::node& node) const {
  return SourcePath(node.source()) == file ? base : fs::path();
}

const toml::node* RecipeReader::Find(std::string_view key) {
  known_.emplace_back(key);
  return table_.at_path(key).node();
}

void RecipeReader::ThrowType(std::string_view key, const toml::node& node,
                             std::string_view expected) const {
  throw Error({.where = source_.Where(node.source()),
               .what = name_ + std::string(key),
               .got = Describe(node),
               .expected = std::string(expected)});
}

void RecipeReader::Field(std::string_view key, int64_t& value, const NumberRange& range,
                         std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* integer = node->as_integer();
  if (integer == nullptr || !range.Contains(static_cast<double>(integer->get()))) {
    ThrowType(key, *node, "an integer, " + range.ToString());
  }
  value = integer->get();
}

void RecipeReader::Field(std::string_view key, uint64_t& value, const NumberRange& range,
                         std::string_view doc) {
  int64_t read = static_cast<int64_t>(value);
  Field(key, read, range, doc);
  value = static_cast<uint64_t>(read);
}

void RecipeReader::Field(std::string_view key, double& value, const NumberRange& range,
                         std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const std::optional<double> number = node->value<double>();
  if (!node->is_number() || !number || !range.Contains(*number)) {
    ThrowType(key, *node, "a number, " + range.ToString());
  }
  value = *number;
}

void RecipeReader::Field(std::string_view key, bool& value, std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* boolean = node->as_boolean();
  if (boolean == nullptr) ThrowType(key, *node, "true or false");
  value = boolean->get();
}

void RecipeReader::Field(std::string_view key, Activation& value, std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  value = ParseActivation(ReadText(key, *node),
                          source_.Where(node->source()) + ": " + name_ + std::string(key));
}

size_t RecipeReader::Choice(std::string_view key, const toml::node& node,
                            std::span<const std::string_view> choices) const {
  const auto* text = node.as_string();
  const auto choice =
      text == nullptr ? choices.end() : std::ranges::find(choices, std::string_view(text->get()));
  if (choice == choices.end()) {
    ThrowType(key, node, fmt::format("\"{}\"", fmt::join(choices, "\" or \"")));
  }
  return static_cast<size_t>(choice - choices.begin());
}

std::vector<size_t> RecipeReader::Choices(std::string_view key, const toml::node& node,
                                          std::span<const std::string_view> choices) const {
  if (!node.is_array()) {
    ThrowType(key, node, fmt::format("a list of \"{}\"", fmt::join(choices, "\", \"")));
  }
  std::vector<size_t> chosen;
  for (const toml::node& item : *node.as_array()) {
    chosen.push_back(Choice(key, item, choices));
    if (std::ranges::count(chosen, chosen.back()) > 1) ThrowType(key, item, "each name once");
  }
  return chosen;
}

std::string RecipeReader::ReadText(std::string_view key, const toml::node& node) const {
  const auto* text = node.as_string();
  // A NUL would silently end a file's name.
  if (text == nullptr || text->get().find('\0') != std::string::npos) {
    ThrowType(key, node, "a text in quotes");
  }
  return text->get();
}

void RecipeReader::Path(std::string_view key, std::string& value, std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const std::string text = ReadText(key, *node);
  value =
      text.empty() ? "" : (fs::absolute(source_.BaseOf(*node) / text)).lexically_normal().string();
}

void RecipeReader::Paths(std::string_view key, std::vector<std::string>& value, std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto absolute = [&](const toml::node& item) {
    const std::string text = ReadText(key, item);
    if (text.empty()) ThrowType(key, item, "the path of a file or folder");
    return fs::absolute(source_.BaseOf(item) / text).lexically_normal().string();
  };
  value.clear();
  if (const toml::array* items = node->as_array()) {
    for (const toml::node& item : *items) value.push_back(absolute(item));
  } else if (node->is_string()) {
    value.push_back(absolute(*node));
  } else {
    ThrowType(key, *node, "a path or a list of paths");
  }
}

void RecipeReader::Phases(std::string_view key, std::vector<ActivationPhase>& phases,
                          std::string_view) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const toml::array* items = node->as_array();
  if (items == nullptr) ThrowType(key, *node, "tables [[activation]], one a phase");
  phases.clear();
  for (const toml::node& item : *items) {
    const toml::table* table = item.as_table();
    if (table == nullptr)
      ThrowType(key, item, "a table [[activation]], e.g. {activation = \"relu\"}");
    RecipeReader reader(*table, source_, fmt::format("{}[{}].", key, phases.size()));
    VisitPhase(phases.emplace_back(), reader);
    reader.RejectUnknownKeys();
    if (!table->contains("activation")) {
      throw Error({.where = source_.Where(table->source()),
                   .what = reader.name_ + "activation is missing",
                   .expected = "e.g. activation = \"relu\""});
    }
  }
}

void RecipeReader::Text(std::string_view key, std::string& value) {
  const toml::node* node = Find(key);
  if (node != nullptr) value = ReadText(key, *node);
}

void RecipeReader::Texts(std::string_view key, std::vector<std::string>& values) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  if (!node->is_array()) ThrowType(key, *node, "a list of texts in quotes");
  values.clear();
  for (const toml::node& item : *node->as_array()) values.push_back(ReadText(key, item));
}

void RecipeReader::Numbers(std::string_view key, std::vector<double>& values,
                           const NumberRange& range) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  if (!node->is_array()) ThrowType(key, *node, "a list of numbers");
  values.clear();
  for (const toml::node& item : *node->as_array()) {
    const std::optional<double> number = item.value<double>();
    if (!item.is_number() || !number || !range.Contains(*number)) {
      ThrowType(key, item, "numbers, each " + range.ToString());
    }
    values.push_back(*number);
  }
}

void RecipeReader::RejectUnknownKeys() const { RejectUnknownKeys(table_, ""); }

void RecipeReader::RejectUnknownKeys(const toml::table& table, const std::string& prefix) const {
  for (const auto& [key, node] : table) {
    const std::string full = prefix + std::string(key.str());
    // "model.hidden_size" in quotes is one key, which no field reads.
    const bool plain = key.str().find('.') == std::string_view::npos;
    if (plain && std::ranges::find(known_, full) != known_.end()) continue;
    const bool is_known_table = plain && IsTableOfKnown(full, known_);
    if (is_known_table && !node.is_table()) ThrowType(full, node, "a table [" + full + "]");
    if (const toml::table* inner = node.as_table(); inner != nullptr && !inner->empty()) {
      RejectUnknownKeys(*inner, full + ".");  // which names the key within
      continue;
    }
    if (is_known_table) continue;
    const std::string nearest = NearestKey(full, known_);
    const bool from_override = key.source().begin.line == 0;
    throw Error({.where = source_.Where(from_override ? node.source() : key.source()),
                 .what = "unknown key \"" + name_ + full + "\"",
                 .hint = nearest.empty() ? "docs/recipe-keys.md lists the keys"
                                         : "did you mean " + name_ + nearest + "?"});
  }
}

std::string RecipeReader::Where(std::string_view key) const {
  const toml::node* node = table_.at_path(key).node();
  return node == nullptr ? source_.file : source_.Where(node->source());
}

}  // namespace stocha
