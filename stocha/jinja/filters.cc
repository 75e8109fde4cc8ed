#include <optional>
#include <utility>

#include "stocha/jinja/builtins.h"
#include "stocha/jinja/python_text.h"

namespace stocha::jinja {
namespace {

// Of map, selectattr and rejectattr: "a.b" goes down twice.
Value Descend(Context& context, Value value, const std::string& path) {
  for (const std::string_view part : Split(path, ".", -1)) {
    value = Item(context, value, Value(std::string(part)));
  }
  return value;
}

Value Default(Arguments& arguments) {
  Value value = arguments.Require();
  const std::optional<Value> otherwise = arguments.Take("default_value");
  const std::optional<Value> boolean = arguments.Take("boolean");
  arguments.Finish();
  const bool falsy = boolean && boolean->Truth();
  if (!value.IsUndefined() && (!falsy || value.Truth())) return value;
  return otherwise ? *otherwise : Value(std::string());
}

Value Items(Context& context, const Value& value) {
  std::vector<Value> items;
  if (const Dict* dict = value.AsDict()) {
    for (const auto& [key, item] : dict->entries) {
      items.push_back(context.MakeList({context.Text(key), item}, /*tuple=*/true));
    }
  } else if (!value.IsUndefined()) {
    context.FailKind("the filter items", value);
  }
  return context.MakeList(std::move(items), /*tuple=*/false, /*lazy=*/true);
}

Value JoinTexts(Arguments& arguments) {
  Context& context = arguments.context();
  const std::vector<Value> items = Elements(context, arguments.Require(), "the filter join");
  const std::string between = arguments.TakeText("d").value_or("");
  arguments.Finish();
  std::string joined;
  for (size_t i = 0; i < items.size(); ++i) {
    std::string text = (i > 0 ? between : "") + ToText(context, items[i]);
    context.Bytes(std::ssize(text));
    joined += text;
  }
  return Value(std::move(joined));
}

// The first or the last element.
Value End(Arguments& arguments, bool last) {
  Context& context = arguments.context();
  const Value value = arguments.Require();
  arguments.Finish();
  if (List* list = value.AsList(); list != nullptr && list->lazy) {
    if (last) context.FailKind("the filter last", value);
    if (list->items.empty()) return MakeUndefined("first");
    Value first = std::move(list->items.front());
    list->items.erase(list->items.begin());
    return first;
  }
  const std::vector<Value> items = Elements(context, value, "an end");
  if (items.empty()) return MakeUndefined(last ? "last" : "first");
  return last ? items.back() : items.front();
}

// select, reject, and by an attribute.
Value Filtered(Arguments& arguments, bool keep, bool by_attribute) {
  Context& context = arguments.context();
  std::vector<Value> items = Elements(context, arguments.Require(), arguments.what());
  const std::string path = by_attribute ? arguments.RequireText() : "";
  const std::optional<std::string> test = arguments.TakeText();
  const std::vector<Value> rest = arguments.TakeAll();
  arguments.Finish();
  std::vector<Value> kept;
  for (Value& item : items) {
    const Value tested = by_attribute ? Descend(context, item, path) : item;
    bool passes = tested.Truth();
    if (test) {
      std::vector<Value> positional = {tested};
      positional.insert(positional.end(), rest.begin(), rest.end());
      Arguments of_test(context, "the test " + *test, std::move(positional), {});
      passes = ApplyTest(*test, of_test);
    }
    if (passes == keep) kept.push_back(std::move(item));
  }
  return context.MakeList(std::move(kept), /*tuple=*/false, /*lazy=*/true);
}

// map(attribute=PATH, default=VALUE), or map(FILTER, ...).
Value Map(Arguments& arguments) {
  Context& context = arguments.context();
  std::vector<Value> items = Elements(context, arguments.Require(), arguments.what());
  std::vector<Value> rest = arguments.TakeAll();
  if (rest.empty()) {
    const std::string path = arguments.RequireText("attribute");
    const std::optional<Value> otherwise = arguments.Take("default");
    arguments.Finish();
    for (Value& item : items) {
      item = Descend(context, std::move(item), path);
      if (item.IsUndefined() && otherwise) item = *otherwise;
    }
  } else {
    const auto keywords = arguments.TakeKeywords();
    const std::string* name = rest.front().Text();
    if (name == nullptr) context.FailKind("an argument of the filter map", rest.front());
    if (*name == "map") context.Fail("map within map is not known here");
    for (Value& item : items) {
      std::vector<Value> positional = rest;
      positional.front() = item;
      Arguments of_filter(context, "the filter " + *name, std::move(positional), keywords);
      item = ApplyFilter(*name, of_filter);
    }
  }
  return context.MakeList(std::move(items), /*tuple=*/false, /*lazy=*/true);
}

Value Json(Arguments& arguments) {
  Context& context = arguments.context();
  const Value value = arguments.Require();
  const std::optional<Value> ascii = arguments.Take("ensure_ascii");
  const int64_t indent = arguments.TakeInteger("indent", -1);
  arguments.Finish();
  if (ascii && ascii->Truth()) context.Fail("tojson with ensure_ascii is not known here");
  return Value(ToJson(context, value, indent));
}

Value Replaced(Arguments& arguments) {
  Context& context = arguments.context();
  const Value value = context.Text(ToText(context, arguments.Require()));
  return CallMethod(value, "replace", arguments);
}

Value Trim(Arguments& arguments) {
  Context& context = arguments.context();
  const std::string text = ToText(context, arguments.Require());
  const std::optional<std::string> chars = arguments.TakeText("chars");
  arguments.Finish();
  return context.Text(Strip(text, Side::kBoth, chars));
}

// Of filters whose only argument is the value.
Value Only(Arguments& arguments) {
  Value value = arguments.Require();
  arguments.Finish();
  return value;
}

}  // namespace

Value ApplyFilter(std::string_view name, Arguments& arguments) {
  Context& context = arguments.context();
  if (name == "trim") return Trim(arguments);
  if (name == "tojson") return Json(arguments);
  if (name == "length" || name == "count") return Value(Length(context, Only(arguments)));
  if (name == "default" || name == "d") return Default(arguments);
  if (name == "join") return JoinTexts(arguments);
  if (name == "items") return Items(context, Only(arguments));
  if (name == "first" || name == "last") return End(arguments, name == "last");
  if (name == "list") {
    return context.MakeList(Elements(context, Only(arguments), "the filter list"));
  }
  if (name == "string") return context.Text(ToText(context, Only(arguments)));
  if (name == "lower" || name == "upper") {
    return ChangeCase(context, ToText(context, Only(arguments)), name == "upper");
  }
  if (name == "replace") return Replaced(arguments);
  if (name == "select" || name == "reject") return Filtered(arguments, name == "select", false);
  if (name == "selectattr" || name == "rejectattr") {
    return Filtered(arguments, name == "selectattr", true);
  }
  if (name == "map") return Map(arguments);
  context.Fail("a filter that is not known here", name);
}

}  // namespace stocha::jinja
