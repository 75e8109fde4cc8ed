#include "stocha/recipe/recipe_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// toml++ limits brackets to 256 deep, but not dotted keys: "a.a.a..." would overflow its stack.
constexpr int64_t kMaxDots = 4096;

void LimitDots(std::string_view text, const std::string& where) {
  const int64_t dots = std::ranges::count(text, '.');
  if (dots <= kMaxDots) return;
  throw Error({.where = where,
               .what = "too many dots for a recipe",
               .got = std::to_string(dots),
               .expected = "at most " + std::to_string(kMaxDots),
               .hint = "name folders of token shards instead of each file"});
}

[[noreturn]] void ThrowOverride(const std::string& where, std::string what) {
  throw Error({.where = where, .what = std::move(what), .expected = "--set table.key=value"});
}

// The value of an override as a table with the one key "value", its source named `where`.
toml::table ParseOverrideValue(const std::string& text, const std::string& where) {
  // Structured text must parse; anything else that does not is a bare word, e.g. a file's name.
  const bool structured = text.find_first_of("[{\"'") == 0;
  try {
    toml::table table = ParseToml("value = " + text, where);
    if (table.size() == 1) return table;
  } catch (const Error&) {
    if (structured) throw;
  }
  if (structured || text.find('\n') != std::string::npos)
    ThrowOverride(where, "more than one value");
  return ParseToml("value = '" + text + "'", where);
}

}  // namespace

toml::table ParseToml(std::string_view text, const std::string& where) {
  LimitDots(text, where);
  try {
    return toml::parse(text, std::string_view(where));
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    throw Error({.where = fmt::format("{}:{}:{}", where, at.line, at.column),
                 .what = std::string(error.description())});
  }
}

void InsertNode(toml::table* table, std::string_view key, toml::node&& node) {
  node.visit([&](auto& value) { table->insert_or_assign(key, std::move(value)); });
}

void MergeTable(toml::table* into, toml::table&& from) {
  for (auto&& [key, node] : from) {
    toml::table* inner = node.as_table();
    toml::node* old = into->get(key.str());
    if (inner != nullptr && old != nullptr && old->is_table()) {
      MergeTable(old->as_table(), std::move(*inner));
    } else {
      InsertNode(into, key.str(), std::move(node));
    }
  }
}

void ApplyOverride(const std::string& text, toml::table* whole) {
  const size_t equals = text.find('=');
  const std::string path = text.substr(0, equals);
  const std::string where = "--set " + path;
  if (equals == std::string::npos || path.empty()) ThrowOverride("--set " + text, "no key=value");
  LimitDots(path, where);
  toml::table value = ParseOverrideValue(text.substr(equals + 1), where);

  toml::table* table = whole;
  std::string_view rest = path;
  for (size_t dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    const std::string_view name = rest.substr(0, dot);
    toml::node* inner = table->get(name);
    if (inner == nullptr) inner = &table->insert(name, toml::table()).first->second;
    if (!inner->is_table()) ThrowOverride(where, "\"" + std::string(name) + "\" is no table");
    table = inner->as_table();
    rest.remove_prefix(dot + 1);
  }
  InsertNode(table, rest, std::move(*value.get("value")));
}

}  // namespace stocha
