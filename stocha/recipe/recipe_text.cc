// The recipe's fields as text: TOML for a run's folder, Markdown for docs/recipe-keys.md.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "stocha/recipe/fields.h"
#include "stocha/recipe/recipe.h"
#include "stocha/recipe/toml.h"

namespace stocha {
namespace {

std::string Quote(const std::string& text) {
  const toml::value<std::string> value(text);
  std::ostringstream out;
  out << toml::toml_formatter(value, toml::format_flags::none);
  return out.str();
}

std::string QuoteList(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  quoted.reserve(texts.size());
  for (const std::string& text : texts) quoted.push_back(Quote(text));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

template <typename E, size_t kCount>
std::string_view NameOf(E value, const EnumName<E> (&names)[kCount]) {
  for (const EnumName<E>& name : names) {
    if (name.value == value) return name.name;
  }
  return "?";
}

// Writes each field as a line of TOML.
class TomlWriter {
 public:
  void Table(std::string_view name, std::string_view) { text_ += fmt::format("\n[{}]\n", name); }
  template <typename T>
  void Field(std::string_view key, T value, const NumberRange&, std::string_view) {
    Line(key, fmt::format("{}", value));
  }
  void Field(std::string_view key, bool value, std::string_view) {
    Line(key, value ? "true" : "false");
  }
  void Field(std::string_view key, const Activation& value, std::string_view) {
    Line(key, Quote(ToString(value)));
  }
  template <typename E, size_t kCount>
  void Enum(std::string_view key, E value, const EnumName<E> (&names)[kCount], std::string_view) {
    Line(key, fmt::format("\"{}\"", NameOf(value, names)));
  }
  template <typename E, size_t kCount>
  void Enums(std::string_view key, const std::vector<E>& values, const EnumName<E> (&names)[kCount],
             std::string_view) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const E value : values) texts.emplace_back(NameOf(value, names));
    Line(key, QuoteList(texts));
  }
  void Path(std::string_view key, const std::string& value, std::string_view) {
    Line(key, Quote(value));
  }
  void Paths(std::string_view key, const std::vector<std::string>& values, std::string_view) {
    Line(key, QuoteList(values));
  }
  void Phases(std::string_view key, const std::vector<ActivationPhase>& phases, std::string_view) {
    for (const ActivationPhase& phase : phases) {
      text_ += fmt::format("\n[[{}]]\n", key);
      VisitPhase(phase, *this);
    }
  }
  const std::string& text() const { return text_; }

 private:
  void Line(std::string_view key, std::string_view value) {
    text_ += fmt::format("{} = {}\n", LastPartOfKey(key), value);
  }

  std::string text_;
};

// Writes each field as a row of a Markdown table.
class MarkdownWriter {
 public:
  MarkdownWriter()
      : text_(
            "# Recipe keys\n\n"
            "Every key of a recipe, written by `RecipeKeysMarkdown()` from the fields that the "
            "reader "
            "reads; a test holds this page to them. Relative paths start at the recipe's folder. "
            "On "
            "the command line, `--set table.key=value` replaces one key (relative paths start at "
            "the "
            "current folder), e.g. `--set training.steps=500` or `--set "
            "'activation=[{until=0.9, activation=\"stocha:0.5\"}, {activation=\"relu\"}]'`.\n\n") {
    Head();
  }
  void Table(std::string_view name, std::string_view doc) {
    Heading(fmt::format("[{}]", name), doc);
  }
  void Field(std::string_view key, double value, const NumberRange& range, std::string_view doc) {
    Row(key, "number, " + range.ToString(), fmt::format("{}", value), doc);
  }
  template <typename T>
  void Field(std::string_view key, T value, const NumberRange& range, std::string_view doc) {
    Row(key, "integer, " + range.ToString(), fmt::format("{}", value), doc);
  }
  void Field(std::string_view key, bool value, std::string_view doc) {
    Row(key, "true or false", value ? "true" : "false", doc);
  }
  void Field(std::string_view key, const Activation& value, std::string_view doc) {
    Row(key, "text", Quote(ToString(value)), doc);
  }
  template <typename E, size_t kCount>
  void Enum(std::string_view key, E value, const EnumName<E> (&names)[kCount],
            std::string_view doc) {
    Row(key, Quoted(names, " or "), fmt::format("\"{}\"", NameOf(value, names)), doc);
  }
  template <typename E, size_t kCount>
  void Enums(std::string_view key, const std::vector<E>&, const EnumName<E> (&names)[kCount],
             std::string_view doc) {
    Row(key, "list of " + Quoted(names, ", "), "[]", doc);
  }
  void Path(std::string_view key, const std::string& value, std::string_view doc) {
    Row(key, "path", Quote(value), doc);
  }
  void Paths(std::string_view key, const std::vector<std::string>& values, std::string_view doc) {
    Row(key, "path or list of paths", QuoteList(values), doc);
  }
  void Phases(std::string_view key, const std::vector<ActivationPhase>&, std::string_view doc) {
    Heading(fmt::format("[[{}]]", key), doc);
    const ActivationPhase defaults;
    VisitPhase(defaults, *this);
  }
  const std::string& text() const { return text_; }

 private:
  void Heading(std::string_view name, std::string_view doc) {
    text_ += fmt::format("\n## `{}`\n\n{}\n\n", name, doc);
    Head();
  }
  template <typename E, size_t kCount>
  static std::string Quoted(const EnumName<E> (&names)[kCount], std::string_view separator) {
    std::vector<std::string> choices;
    for (const EnumName<E>& name : names) choices.push_back(fmt::format("`\"{}\"`", name.name));
    return fmt::format("{}", fmt::join(choices, separator));
  }
  void Head() { text_ += "| key | value | default | meaning |\n|---|---|---|---|\n"; }
  void Row(std::string_view key, std::string_view type, std::string_view value,
           std::string_view doc) {
    std::string cell(doc);
    for (size_t bar = 0; (bar = cell.find('|', bar)) != std::string::npos; bar += 2) {
      cell.insert(bar, 1, '\\');
    }
    text_ += fmt::format("| `{}` | {} | `{}` | {} |\n", LastPartOfKey(key), type, value, cell);
  }

  std::string text_;
};

}  // namespace

std::string RecipeToToml(const Recipe& recipe) {
  TomlWriter writer;
  VisitRecipe(recipe, writer);
  return writer.text();
}

std::string RecipeKeysMarkdown() {
  MarkdownWriter writer;
  const Recipe defaults;
  VisitRecipe(defaults, writer);
  return writer.text();
}

}  // namespace stocha
