// A recipe as the TOML table it is read from, for whoever builds one out of parts (experiments).
#ifndef STOCHA_RECIPE_RECIPE_TABLE_H_
#define STOCHA_RECIPE_RECIPE_TABLE_H_

#include <string>
#include <string_view>

#include "stocha/recipe/recipe.h"
#include "stocha/recipe/recipe_reader.h"
#include "stocha/recipe/toml.h"

namespace stocha {

inline constexpr uint64_t kMaxRecipeBytes = 1 << 20;

// Throws Error, `where` at its head, on a syntax error and on text that toml++ cannot be given.
toml::table ParseToml(std::string_view text, const std::string& where);

// "table.key=value", as ParseRecipe takes it.
void ApplyOverride(const std::string& text, toml::table* table);

// Puts `node` at `key`, in place of what stood there. Moving keeps a node's source, by which errors
// say where it stood; copying would lose it.
void InsertNode(toml::table* table, std::string_view key, toml::node&& node);

// Tables are merged key by key; everything else in `from` replaces what `into` has.
void MergeTable(toml::table* into, toml::table&& from);

// Throws Error as ParseRecipe does.
Recipe RecipeOfTable(const toml::table& table, const RecipeSource& source);

}  // namespace stocha

#endif  // STOCHA_RECIPE_RECIPE_TABLE_H_
