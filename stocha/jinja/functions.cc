#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "stocha/jinja/builtins.h"
#include "stocha/jinja/python_text.h"

namespace stocha::jinja {
namespace {

constexpr std::array<Function, 5> kFunctions = {
    {{"dict"}, {"namespace"}, {"raise_exception"}, {"range"}, {"strftime_now"}}};

// Jinja's own limit.
constexpr int64_t kMaxRange = 100'000;

Value MakeDict(Arguments& arguments) {
  Context& context = arguments.context();
  auto dict = std::make_shared<Dict>();
  if (const std::optional<Value> other = arguments.Take()) {
    if (other->AsDict() == nullptr) context.FailKind("the function dict", *other);
    *dict = *other->AsDict();
    context.Step(std::ssize(dict->entries));
  }
  for (auto& [name, value] : arguments.TakeKeywords()) {
    context.CheckElement(value);
    context.Step(std::ssize(dict->entries));
    dict->Set(name, std::move(value));
  }
  arguments.Finish();
  return Value(std::move(dict));
}

Value MakeNamespace(Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  space->attributes = *MakeDict(arguments).AsDict();
  for (const auto& [name, value] : space->attributes.entries) {
    if (name.starts_with('_')) {
      arguments.context().Fail("an attribute of a namespace that begins with _", name);
    }
  }
  return Value(std::move(space));
}

Value Range(Arguments& arguments) {
  Context& context = arguments.context();
  std::vector<int64_t> numbers;
  for (const Value& value : arguments.TakeAll()) {
    int64_t number = 0;
    if (!value.Integer(&number)) context.FailKind("the function range", value);
    numbers.push_back(number);
  }
  arguments.Finish();
  if (numbers.empty() || numbers.size() > 3) context.Fail("range: 1 to 3 numbers");
  const int64_t start = numbers.size() == 1 ? 0 : numbers[0];
  const int64_t stop = numbers.size() == 1 ? numbers[0] : numbers[1];
  const int64_t step = numbers.size() == 3 ? numbers[2] : 1;
  if (step == 0) context.Fail("range: a step of 0");
  std::vector<Value> items;
  int64_t number = start;
  while (step > 0 ? number < stop : number > stop) {
    if (std::ssize(items) == kMaxRange) context.Fail("range: more than 100000 numbers");
    items.emplace_back(number);
    if (__builtin_add_overflow(number, step, &number)) break;
  }
  return context.MakeList(std::move(items));
}

// What strftime is asked for must be the same everywhere.
Value Now(Arguments& arguments) {
  constexpr std::string_view kConversions = "aAbBdHIjmMpSyY%";
  Context& context = arguments.context();
  const std::string format = arguments.RequireText("format");
  arguments.Finish();
  if (format.empty()) return Value(format);
  for (size_t i = format.find('%'); i < format.size(); i = format.find('%', i + 2)) {
    if (i + 1 == format.size() || kConversions.find(format[i + 1]) == std::string_view::npos) {
      context.Fail("strftime_now: a conversion that is not known here", format.substr(i, 2));
    }
  }
  const std::time_t now = context.now();
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 256> buffer{};
  const size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &local);
  if (size == 0) context.Fail("strftime_now: a format too long");
  return context.Text(std::string(buffer.data(), size));
}

}  // namespace

const Function* FindFunction(std::string_view name) {
  const auto* found =
      std::ranges::find_if(kFunctions, [name](const Function& f) { return f.name == name; });
  return found == kFunctions.end() ? nullptr : found;
}

Value CallFunction(const Function& function, Arguments& arguments) {
  if (function.name == "dict") return MakeDict(arguments);
  if (function.name == "namespace") return MakeNamespace(arguments);
  if (function.name == "range") return Range(arguments);
  if (function.name == "strftime_now") return Now(arguments);
  const std::string message = ToText(arguments.context(), arguments.Require());
  arguments.Finish();
  arguments.context().Fail("the template refuses the conversation", message);
}

}  // namespace stocha::jinja
