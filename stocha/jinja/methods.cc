#include <algorithm>
#include <array>
#include <optional>

#include "stocha/jinja/builtins.h"
#include "stocha/jinja/python_text.h"

namespace stocha::jinja {
namespace {

// Python's, of Python 3.
constexpr std::array<std::string_view, 47> kTextMethods = {
    "capitalize",   "casefold",    "center",    "count",      "encode",       "endswith",
    "expandtabs",   "find",        "format",    "format_map", "index",        "isalnum",
    "isalpha",      "isascii",     "isdecimal", "isdigit",    "isidentifier", "islower",
    "isnumeric",    "isprintable", "isspace",   "istitle",    "isupper",      "join",
    "ljust",        "lower",       "lstrip",    "maketrans",  "partition",    "removeprefix",
    "removesuffix", "replace",     "rfind",     "rindex",     "rjust",        "rpartition",
    "rsplit",       "rstrip",      "split",     "splitlines", "startswith",   "strip",
    "swapcase",     "title",       "translate", "upper",      "zfill"};
constexpr std::array<std::string_view, 11> kDictMethods = {
    "clear", "copy",    "fromkeys",   "get",    "items", "keys",
    "pop",   "popitem", "setdefault", "update", "values"};
constexpr std::array<std::string_view, 11> kListMethods = {"append", "clear",   "copy",   "count",
                                                           "extend", "index",   "insert", "pop",
                                                           "remove", "reverse", "sort"};

Value CallText(const Value& value, std::string_view name, Arguments& arguments) {
  Context& context = arguments.context();
  const std::string& text = *value.Text();
  context.Bytes(std::ssize(text));
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const std::optional<std::string> chars = arguments.TakeText();
    arguments.Finish();
    const Side side = name == "strip" ? Side::kBoth : name == "lstrip" ? Side::kLeft : Side::kRight;
    return context.Text(Strip(text, side, chars));
  }
  if (name == "startswith" || name == "endswith") {
    const std::string part = arguments.RequireText();
    arguments.Finish();
    return Value(name == "startswith" ? text.starts_with(part) : text.ends_with(part));
  }
  if (name == "split") {
    const std::optional<std::string> separator = arguments.TakeText("sep");
    const int64_t most = arguments.TakeInteger("maxsplit", -1);
    arguments.Finish();
    if (separator && separator->empty()) context.Fail("split: an empty separator");
    std::vector<Value> parts;
    for (const std::string_view part : Split(text, separator, most)) {
      parts.push_back(context.Text(part));
    }
    return context.MakeList(std::move(parts));
  }
  if (name == "replace") {
    const std::string old = arguments.RequireText("old");
    const std::string replacement = arguments.RequireText("new");
    const int64_t most = arguments.TakeInteger("count", -1);
    arguments.Finish();
    std::optional<std::string> replaced =
        Replace(text, old, replacement, most, static_cast<size_t>(context.bytes_left()));
    if (!replaced) context.Bytes(context.bytes_left() + 1);
    return context.Text(std::move(*replaced));
  }
  if (name == "lower" || name == "upper") {
    arguments.Finish();
    return ChangeCase(context, text, name == "upper");
  }
  context.Fail("a method that is not known here", name);
}

Value CallDict(const Value& value, std::string_view name, Arguments& arguments) {
  Context& context = arguments.context();
  const Dict& dict = *value.AsDict();
  context.Step(std::ssize(dict.entries));
  if (name == "get") {
    const Value key = arguments.Require();
    const std::optional<Value> otherwise = arguments.Take();
    arguments.Finish();
    const Value* found = key.Text() == nullptr ? nullptr : dict.Find(*key.Text());
    if (found != nullptr) return *found;
    return otherwise ? *otherwise : Value(None{});
  }
  arguments.Finish();
  if (name != "items" && name != "keys" && name != "values") {
    context.Fail("a method that is not known here", name);
  }
  std::vector<Value> items;
  for (const auto& [key, item] : dict.entries) {
    if (name == "keys") items.push_back(context.Text(key));
    if (name == "values") items.push_back(item);
    if (name == "items") {
      items.push_back(context.MakeList({context.Text(key), item}, /*tuple=*/true));
    }
  }
  return context.MakeList(std::move(items));
}

}  // namespace

bool HasMethod(const Value& value, std::string_view name) {
  const auto has = [name](const auto& names) { return std::ranges::count(names, name) > 0; };
  if (value.Text() != nullptr) return has(kTextMethods);
  if (value.AsDict() != nullptr) return has(kDictMethods);
  return value.AsList() != nullptr && has(kListMethods);
}

Value CallMethod(const Value& value, std::string_view name, Arguments& arguments) {
  if (value.Text() != nullptr) return CallText(value, name, arguments);
  if (value.AsDict() != nullptr) return CallDict(value, name, arguments);
  arguments.context().Fail("a method that is not known here", name);
}

Value ChangeCase(Context& context, const std::string& text, bool upper) {
  std::string changed = text;
  for (char& c : changed) {
    if (static_cast<uint8_t>(c) >= 0x80) {
      context.Fail("upper and lower case of letters beyond ASCII are not known here");
    }
    const bool letter = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
    if (letter) c = static_cast<char>(c ^ 0x20);
  }
  return context.Text(std::move(changed));
}

}  // namespace stocha::jinja
