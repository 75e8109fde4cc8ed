#include "stocha/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <optional>

#include "stocha/jinja/python_text.h"

namespace stocha::jinja {
namespace {

double AsDouble(const Value& value) {
  if (const double* number = value.Float()) return *number;
  int64_t integer = 0;
  value.Integer(&integer);
  return static_cast<double>(integer);
}

Value FloatResult(Context& context, double result) {
  if (!std::isfinite(result)) context.Fail("a number too large");
  return Value(result);
}

// Rounded down, as Python does.
Value IntegerDivision(Context& context, bool quotient, int64_t left, int64_t right) {
  if (right == 0) context.Fail("division by zero");
  if (right == -1) {  // INT64_MIN / -1 overflows
    int64_t negated = 0;
    if (!quotient) return Value(int64_t{0});
    if (__builtin_sub_overflow(int64_t{0}, left, &negated)) context.Fail("a number too large");
    return Value(negated);
  }
  const int64_t rest = left % right;
  const bool round = rest != 0 && (rest < 0) != (right < 0);
  return Value(quotient ? left / right - (round ? 1 : 0) : rest + (round ? right : 0));
}

Value IntegerArithmetic(Context& context, char symbol, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (symbol == '+') overflow = __builtin_add_overflow(left, right, &result);
  if (symbol == '-') overflow = __builtin_sub_overflow(left, right, &result);
  if (symbol == '*') overflow = __builtin_mul_overflow(left, right, &result);
  if (overflow) context.Fail("a number too large");
  return Value(result);
}

Value NumberArithmetic(Context& context, std::string_view symbol, const Value& left,
                       const Value& right) {
  int64_t a = 0;
  int64_t b = 0;
  const bool integers = left.Integer(&a) && right.Integer(&b);
  if (integers && symbol == "//") return IntegerDivision(context, true, a, b);
  if (integers && symbol == "%") return IntegerDivision(context, false, a, b);
  if (integers && symbol != "/") return IntegerArithmetic(context, symbol[0], a, b);
  const double x = AsDouble(left);
  const double y = AsDouble(right);
  if (symbol == "+") return FloatResult(context, x + y);
  if (symbol == "-") return FloatResult(context, x - y);
  if (symbol == "*") return FloatResult(context, x * y);
  if (y == 0) context.Fail("division by zero");
  if (symbol == "/") return FloatResult(context, x / y);
  double rest = std::fmod(x, y);
  if (rest != 0 && (rest < 0) != (y < 0)) rest += y;
  if (symbol == "%") return FloatResult(context, rest);
  return FloatResult(context, std::floor((x - rest) / y + 0.5));
}

// value * count, of a text.
Value Repeat(Context& context, const std::string& text, int64_t count) {
  count = std::max<int64_t>(count, 0);
  if (text.empty()) return Value(text);
  context.Bytes(count > context.bytes_left() / std::ssize(text) ? context.bytes_left() + 1
                                                                : count * std::ssize(text));
  std::string repeated;
  repeated.reserve(text.size() * static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) repeated += text;
  return Value(std::move(repeated));
}

// left + right of two lists.
Value Join(Context& context, const List& left, const List& right) {
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return context.MakeList(std::move(items), left.tuple);
}

std::strong_ordering Order(Context& context, const Value& left, const Value& right) {
  if (left.IsNumber() && right.IsNumber()) {
    int64_t a = 0;
    int64_t b = 0;
    if (left.Integer(&a) && right.Integer(&b)) return a <=> b;
    const double x = AsDouble(left);
    const double y = AsDouble(right);
    return x < y   ? std::strong_ordering::less
           : x > y ? std::strong_ordering::greater
                   : std::strong_ordering::equal;
  }
  const std::string* a = left.Text();
  const std::string* b = right.Text();
  // Bytes of UTF-8 are in the order of code points.
  if (a != nullptr && b != nullptr) return *a <=> *b;
  context.FailKind("comparing sizes", left.IsNumber() || a != nullptr ? right : left);
}

bool Contains(Context& context, const Value& container, const Value& value) {
  if (const std::string* text = container.Text()) {
    const std::string* part = value.Text();
    if (part == nullptr) context.FailKind("looking for it in a string", value);
    context.Bytes(std::ssize(*text));
    return Find(*text, *part) != std::string_view::npos;
  }
  if (const Dict* dict = container.AsDict()) {
    const std::string* key = value.Text();
    context.Step(std::ssize(dict->entries));
    return key != nullptr && dict->Find(*key) != nullptr;
  }
  const std::vector<Value> items = Elements(context, container, "looking into it");
  return std::ranges::any_of(items, [&](const Value& item) { return Equal(context, item, value); });
}

// An integer, or nothing where it is none or undefined.
std::optional<int64_t> SlicePart(Context& context, const Value& value) {
  int64_t part = 0;
  if (value.Integer(&part)) return part;
  if (!value.IsNone()) context.FailKind("a position", value);
  return std::nullopt;
}

}  // namespace

Value Arithmetic(Context& context, std::string_view symbol, const Value& left, const Value& right) {
  const std::string* a = left.Text();
  const std::string* b = right.Text();
  if (symbol == "~" || (symbol == "+" && a != nullptr && b != nullptr)) {
    std::string text = a != nullptr ? *a : ToText(context, left);
    text += b != nullptr ? *b : ToText(context, right);
    return context.Text(std::move(text));
  }
  if (left.IsNumber() && right.IsNumber()) return NumberArithmetic(context, symbol, left, right);
  int64_t count = 0;
  if (symbol == "*" && a != nullptr && right.Integer(&count)) return Repeat(context, *a, count);
  if (symbol == "*" && b != nullptr && left.Integer(&count)) return Repeat(context, *b, count);
  const List* x = left.AsList();
  const List* y = right.AsList();
  if (symbol == "+" && x != nullptr && y != nullptr && x->tuple == y->tuple && !x->lazy &&
      !y->lazy) {
    return Join(context, *x, *y);
  }
  if (left.IsUndefined()) context.FailKind("", left);
  if (right.IsUndefined()) context.FailKind("", right);
  context.Fail("\"" + std::string(symbol) + "\": not possible with " +
               std::string(left.KindName()) + " and " + std::string(right.KindName()));
}

Value Negative(Context& context, const Value& value) {
  if (const double* number = value.Float()) return Value(-*number);
  if (!value.IsNumber()) context.FailKind("a minus sign", value);
  return NumberArithmetic(context, "-", Value(int64_t{0}), value);
}

bool Equal(Context& context, const Value& left, const Value& right) {
  context.Step();
  if (left.IsNumber() && right.IsNumber()) {
    return Order(context, left, right) == std::strong_ordering::equal;
  }
  if (left.IsUndefined() || left.IsNone()) return left.KindName() == right.KindName();
  if (left.Text() != nullptr && right.Text() != nullptr) {
    context.Bytes(std::ssize(*left.Text()) == std::ssize(*right.Text()) ? std::ssize(*left.Text())
                                                                        : 0);
    return *left.Text() == *right.Text();
  }
  if (left.AsList() != nullptr && right.AsList() != nullptr) {
    const List& a = *left.AsList();
    const List& b = *right.AsList();
    if (a.lazy || b.lazy) return &a == &b;
    return a.tuple == b.tuple &&
           std::ranges::equal(a.items, b.items,
                              [&](const Value& x, const Value& y) { return Equal(context, x, y); });
  }
  if (left.AsDict() != nullptr && right.AsDict() != nullptr) {
    const Dict& a = *left.AsDict();
    const Dict& b = *right.AsDict();
    if (a.entries.size() != b.entries.size()) return false;
    return std::ranges::all_of(a.entries, [&](const auto& entry) {
      context.Step(std::ssize(b.entries));
      const Value* other = b.Find(entry.first);
      return other != nullptr && Equal(context, entry.second, *other);
    });
  }
  if (const Namespace* space = left.AsNamespace()) return space == right.AsNamespace();
  if (const Loop* loop = left.AsLoop()) return loop == right.AsLoop();
  const Function* function = left.AsFunction();
  return function != nullptr && right.AsFunction() != nullptr &&
         function->name == right.AsFunction()->name;
}

bool Compare(Context& context, std::string_view symbol, const Value& left, const Value& right) {
  if (symbol == "==") return Equal(context, left, right);
  if (symbol == "!=") return !Equal(context, left, right);
  if (symbol == "in") return Contains(context, right, left);
  if (symbol == "not in") return !Contains(context, right, left);
  const std::strong_ordering order = Order(context, left, right);
  if (symbol == "<") return order < 0;
  if (symbol == "<=") return order <= 0;
  return symbol == ">" ? order > 0 : order >= 0;
}

std::string ToText(Context& context, const Value& value) {
  if (const std::string* text = value.Text()) return *text;
  if (value.IsUndefined()) return "";
  if (value.IsNone()) return "None";
  if (const bool* truth = value.Bool()) return *truth ? "True" : "False";
  if (int64_t integer = 0; value.Integer(&integer)) return std::to_string(integer);
  if (const double* number = value.Float()) return FloatText(*number);
  context.Fail("writing " + std::string(value.KindName()) + " as text is not known here", "", "",
               "the filter tojson writes lists and dicts");
}

std::vector<Value> Elements(Context& context, const Value& value, std::string_view what) {
  std::vector<Value> items;
  if (value.IsUndefined()) return items;
  if (List* list = value.AsList()) {
    if (list->lazy) {
      items = std::move(list->items);
      list->items.clear();
    } else {
      items = list->items;
    }
  } else if (const Dict* dict = value.AsDict()) {
    for (const auto& [key, item] : dict->entries) items.push_back(context.Text(key));
  } else if (const std::string* text = value.Text()) {
    context.Step(std::ssize(*text));
    for (const std::string_view character : Characters(*text)) {
      items.push_back(context.Text(character));
    }
  } else {
    context.FailKind(what, value);
  }
  context.Step(std::ssize(items));
  return items;
}

int64_t Length(Context& context, const Value& value) {
  if (const std::string* text = value.Text()) {
    context.Bytes(std::ssize(*text));
    return CodePoints(*text);
  }
  if (const List* list = value.AsList(); list != nullptr && !list->lazy) {
    return std::ssize(list->items);
  }
  if (const Dict* dict = value.AsDict()) return std::ssize(dict->entries);
  if (value.IsUndefined()) return 0;
  context.FailKind("a length", value);
}

Value Item(Context& context, const Value& value, const Value& key) {
  if (value.IsUndefined()) context.FailKind("", value);
  int64_t index = 0;
  if (const std::string* name = key.Text()) {
    if (const Dict* dict = value.AsDict()) {
      context.Step(std::ssize(dict->entries));
      const Value* found = dict->Find(*name);
      return found == nullptr ? MakeUndefined(*name) : *found;
    }
    return Attribute(context, value, *name);
  }
  if (key.Integer(&index) && (value.AsList() != nullptr || value.Text() != nullptr)) {
    const bool lazy = value.AsList() != nullptr && value.AsList()->lazy;
    const int64_t length = lazy ? 0 : Length(context, value);
    if (index < 0) index += length;
    if (index >= 0 && index < length) {
      if (const List* list = value.AsList()) return list->items[index];
      context.Step(length);
      return context.Text(Characters(*value.Text())[index]);
    }
  }
  return MakeUndefined("item");
}

Value Slice(Context& context, const Value& value, const Value& start, const Value& stop,
            const Value& step) {
  const List* list = value.AsList();
  const std::string* text = value.Text();
  if ((list == nullptr || list->lazy) && text == nullptr) context.FailKind("a slice", value);
  const int64_t stride = SlicePart(context, step).value_or(1);
  if (stride == 0) context.Fail("a slice with a step of 0");
  const SliceRange range = ResolveSlice(Length(context, value), SlicePart(context, start),
                                        SlicePart(context, stop), stride);
  if (list != nullptr) {
    std::vector<Value> items;
    context.Step(range.count);
    items.reserve(static_cast<size_t>(range.count));
    for (int64_t i = 0; i < range.count; ++i) {
      items.push_back(list->items[range.first + i * range.step]);
    }
    return context.MakeList(std::move(items), list->tuple);
  }
  context.Step(std::ssize(*text));
  const std::vector<std::string_view> characters = Characters(*text);
  std::string part;
  for (int64_t i = 0; i < range.count; ++i) part += characters[range.first + i * range.step];
  return context.Text(std::move(part));
}

Value Attribute(Context& context, const Value& value, const std::string& name) {
  if (value.IsUndefined()) context.FailKind("", value);
  if (const Dict* dict = value.AsDict()) {
    context.Step(std::ssize(dict->entries));
    const Value* found = dict->Find(name);
    if (found != nullptr) return *found;
  }
  if (const Namespace* space = value.AsNamespace()) {
    context.Step(std::ssize(space->attributes.entries));
    const Value* found = space->attributes.Find(name);
    if (found != nullptr) return *found;
  }
  if (const Loop* loop = value.AsLoop()) {
    const auto length = std::ssize(loop->items);
    const auto index = static_cast<int64_t>(loop->index);
    if (name == "index0") return Value(index);
    if (name == "index") return Value(index + 1);
    if (name == "revindex0") return Value(length - index - 1);
    if (name == "revindex") return Value(length - index);
    if (name == "length") return Value(int64_t{length});
    if (name == "first") return Value(index == 0);
    if (name == "last") return Value(index + 1 == length);
    if (name == "depth0") return Value(int64_t{loop->depth - 1});
    if (name == "depth") return Value(int64_t{loop->depth});
    if (name == "previtem" && index > 0) return loop->items[index - 1];
    if (name == "nextitem" && index + 1 < length) return loop->items[index + 1];
    if (name != "previtem" && name != "nextitem") {
      context.Fail("an attribute of loops that is not known here", "loop." + name);
    }
  }
  return MakeUndefined(name);
}

Value MakeUndefined(const std::string& name) {
  return Undefined{std::make_shared<const std::string>(name)};
}

}  // namespace stocha::jinja
