// A visitor of the recipe's fields that fills them from a TOML table, and says where each key
// stood.
#ifndef STOCHA_RECIPE_RECIPE_READER_H_
#define STOCHA_RECIPE_RECIPE_READER_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/recipe/fields.h"
#include "stocha/recipe/toml.h"

namespace stocha {

// Nodes whose source path is `file` stand in the recipe; any other source path names an override.
struct RecipeSource {
  std::string file;
  std::filesystem::path base;  // relative paths in the recipe start here; in overrides, at the
                               // current directory

  // "recipe.toml:12:5", or "--set training.steps".
  std::string Where(const toml::source_region& region) const;
  std::filesystem::path BaseOf(const toml::node& node) const;
};

class RecipeReader {
 public:
  // `name` stands before the keys in errors, e.g. "activation[1]." Borrows all but `name`.
  RecipeReader(const toml::table& table, const RecipeSource& source, std::string name = "")
      : table_(table), source_(source), name_(std::move(name)) {}

  void Table(std::string_view, std::string_view) {}
  void Field(std::string_view key, int64_t& value, const NumberRange& range, std::string_view doc);
  void Field(std::string_view key, uint64_t& value, const NumberRange& range, std::string_view doc);
  void Field(std::string_view key, double& value, const NumberRange& range, std::string_view doc);
  void Field(std::string_view key, bool& value, std::string_view doc);
  void Field(std::string_view key, Activation& value, std::string_view doc);
  void Path(std::string_view key, std::string& value, std::string_view doc);
  void Paths(std::string_view key, std::vector<std::string>& value, std::string_view doc);
  void Phases(std::string_view key, std::vector<ActivationPhase>& phases, std::string_view doc);
  void Text(std::string_view key, std::string& value);
  void Texts(std::string_view key, std::vector<std::string>& values);
  void Numbers(std::string_view key, std::vector<double>& values, const NumberRange& range);
  template <typename E, size_t kCount>
  void Enum(std::string_view key, E& value, const EnumName<E> (&names)[kCount], std::string_view) {
    const toml::node* node = Find(key);
    if (node != nullptr) value = names[Choice(key, *node, NamesOf(names))].value;
  }
  template <typename E, size_t kCount>
  void Enums(std::string_view key, std::vector<E>& values, const EnumName<E> (&names)[kCount],
             std::string_view) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    values.clear();
    for (const size_t choice : Choices(key, *node, NamesOf(names))) {
      values.push_back(names[choice].value);
    }
  }

  // Throws Error on a key that no field has read.
  void RejectUnknownKeys() const;
  // Where `key` stands, or the recipe's name when it is left out.
  std::string Where(std::string_view key) const;

 private:
  const toml::node* Find(std::string_view key);
  [[noreturn]] void ThrowType(std::string_view key, const toml::node& node,
                              std::string_view expected) const;
  template <typename E, size_t kCount>
  static std::vector<std::string_view> NamesOf(const EnumName<E> (&names)[kCount]) {
    std::vector<std::string_view> choices;
    for (const EnumName<E>& name : names) choices.push_back(name.name);
    return choices;
  }
  // Indices into `choices`.
  size_t Choice(std::string_view key, const toml::node& node,
                std::span<const std::string_view> choices) const;
  std::vector<size_t> Choices(std::string_view key, const toml::node& node,
                              std::span<const std::string_view> choices) const;
  std::string ReadText(std::string_view key, const toml::node& node) const;
  void RejectUnknownKeys(const toml::table& table, const std::string& prefix) const;

  const toml::table& table_;
  const RecipeSource& source_;
  std::string name_;
  std::vector<std::string> known_;
};

}  // namespace stocha

#endif  // STOCHA_RECIPE_RECIPE_READER_H_
