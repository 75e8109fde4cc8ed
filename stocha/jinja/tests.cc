#include <algorithm>
#include <array>
#include <utility>

#include "stocha/jinja/builtins.h"

namespace stocha::jinja {
namespace {

// Of a comparison that is a test too.
std::string_view ComparisonOf(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTests = {
      {{"eq", "=="},
       {"equalto", "=="},
       {"ne", "!="},
       {"lt", "<"},
       {"lessthan", "<"},
       {"le", "<="},
       {"gt", ">"},
       {"greaterthan", ">"},
       {"ge", ">="},
       {"in", "in"}}};
  const auto* found =
      std::ranges::find_if(kTests, [name](const auto& test) { return test.first == name; });
  return found == kTests.end() ? "" : found->second;
}

bool IsInteger(const Value& value) {
  int64_t integer = 0;
  return value.Bool() == nullptr && value.Integer(&integer);
}

// value % divisor, of integers.
int64_t Remainder(Context& context, const Value& value, int64_t divisor) {
  int64_t integer = 0;
  if (!value.Integer(&integer)) context.FailKind("a remainder", value);
  if (divisor == 0) context.Fail("division by zero");
  return divisor == -1 ? 0 : integer % divisor;
}

}  // namespace

bool ApplyTest(std::string_view name, Arguments& arguments) {
  Context& context = arguments.context();
  const Value value = arguments.Require();
  if (const std::string_view symbol = ComparisonOf(name); !symbol.empty()) {
    const Value other = arguments.Require();
    arguments.Finish();
    return Compare(context, symbol, value, other);
  }
  if (name == "divisibleby") {
    const int64_t divisor = arguments.TakeInteger("num", 0);
    arguments.Finish();
    return Remainder(context, value, divisor) == 0;
  }
  arguments.Finish();
  const bool text = value.Text() != nullptr;
  const bool list = value.AsList() != nullptr;
  const bool lazy = list && value.AsList()->lazy;
  if (name == "defined") return !value.IsUndefined();
  if (name == "undefined") return value.IsUndefined();
  if (name == "none") return value.IsNone();
  if (name == "string") return text;
  if (name == "mapping") return value.AsDict() != nullptr;
  if (name == "iterable") {
    return text || list || value.AsDict() != nullptr || value.IsUndefined() ||
           value.AsLoop() != nullptr;
  }
  if (name == "sequence") {
    return text || (list && !lazy) || value.AsDict() != nullptr || value.IsUndefined();
  }
  if (name == "number") return value.IsNumber();
  if (name == "integer") return IsInteger(value);
  if (name == "float") return value.Float() != nullptr;
  if (name == "boolean") return value.Bool() != nullptr;
  if (name == "true") return value.Bool() != nullptr && *value.Bool();
  if (name == "false") return value.Bool() != nullptr && !*value.Bool();
  if (name == "odd") return Remainder(context, value, 2) != 0;
  if (name == "even") return Remainder(context, value, 2) == 0;
  context.Fail("a test that is not known here", name);
}

}  // namespace stocha::jinja
