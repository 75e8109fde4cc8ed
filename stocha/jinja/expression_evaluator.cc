#include <ranges>

#include "stocha/jinja/builtins.h"
#include "stocha/jinja/evaluator.h"
#include "stocha/jinja/operators.h"

namespace stocha::jinja {

Value Scopes::Find(const std::string& name) const {
  for (const auto& scope : std::views::reverse(scopes_)) {
    const auto found = scope.find(name);
    if (found != scope.end()) return found->second;
  }
  const Function* function = FindFunction(name);
  return function == nullptr ? MakeUndefined(name) : Value(*function);
}

Value ExpressionEvaluator::Evaluate(const Expression& expression) {
  using Kind = ExpressionKind;
  context_.At(expression.line);
  context_.Step();
  switch (expression.kind) {
    case Kind::kConstant:
      return expression.constant;
    case Kind::kName:
      return scopes_.Find(expression.name);
    case Kind::kList:
    case Kind::kTuple:
      return context_.MakeList(Parts(expression, 0), expression.kind == Kind::kTuple);
    case Kind::kDict:
      return MakeDict(expression);
    case Kind::kAttribute:
      return GetAttribute(expression);
    case Kind::kItem: {
      const Value value = Part(expression, 0);
      return Item(context_, value, Part(expression, 1));
    }
    case Kind::kSlice: {
      const Value value = Part(expression, 0);
      const Value start = PartOrNone(expression, 1);
      const Value stop = PartOrNone(expression, 2);
      return Slice(context_, value, start, stop, PartOrNone(expression, 3));
    }
    case Kind::kCall:
      return Call(expression);
    case Kind::kFilter: {
      const Value value = Part(expression, 0);
      Arguments arguments = MakeArguments(expression, "the filter " + expression.name, &value);
      return ApplyFilter(expression.name, arguments);
    }
    case Kind::kTest: {
      const Value value = Part(expression, 0);
      Arguments arguments = MakeArguments(expression, "the test " + expression.name, &value);
      return Value(ApplyTest(expression.name, arguments));
    }
    case Kind::kNot:
      return Value(!Part(expression, 0).Truth());
    case Kind::kNegative:
      return Negative(context_, Part(expression, 0));
    case Kind::kAnd: {
      Value left = Part(expression, 0);
      return left.Truth() ? Part(expression, 1) : left;
    }
    case Kind::kOr: {
      Value left = Part(expression, 0);
      return left.Truth() ? left : Part(expression, 1);
    }
    case Kind::kArithmetic: {
      const Value left = Part(expression, 0);
      const Value right = Part(expression, 1);
      context_.At(expression.line);
      return Arithmetic(context_, expression.name, left, right);
    }
    case Kind::kComparison:
      return Value(Comparison(expression));
    case Kind::kConditional:
      if (Part(expression, 1).Truth()) return Part(expression, 0);
      return expression.parts[2] == nullptr ? MakeUndefined("else") : Part(expression, 2);
  }
  return {};
}

Value ExpressionEvaluator::PartOrNone(const Expression& expression, size_t index) {
  return expression.parts[index] == nullptr ? Value(None{}) : Part(expression, index);
}

std::vector<Value> ExpressionEvaluator::Parts(const Expression& expression, size_t first) {
  std::vector<Value> values;
  for (size_t i = first; i < expression.parts.size(); ++i) values.push_back(Part(expression, i));
  return values;
}

Value ExpressionEvaluator::MakeDict(const Expression& expression) {
  auto dict = std::make_shared<Dict>();
  for (size_t i = 0; i < expression.parts.size(); i += 2) {
    const Value key = Part(expression, i);
    if (key.Text() == nullptr) context_.FailKind("a key of a dict that is no string", key);
    Value value = Part(expression, i + 1);
    context_.CheckElement(value);
    context_.Step(std::ssize(dict->entries));
    context_.Bytes(std::ssize(*key.Text()));
    dict->Set(*key.Text(), std::move(value));
  }
  return Value(std::move(dict));
}

Value ExpressionEvaluator::GetAttribute(const Expression& expression) {
  const Value value = Part(expression, 0);
  // In Jinja it is the method, whatever the dict holds under that name.
  if (HasMethod(value, expression.name)) {
    context_.Fail("a method that is not called is not known here", expression.name);
  }
  return Attribute(context_, value, expression.name);
}

bool ExpressionEvaluator::Comparison(const Expression& expression) {
  Value left = Part(expression, 0);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = Part(expression, i + 1);
    context_.At(expression.line);
    if (!Compare(context_, expression.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value ExpressionEvaluator::Call(const Expression& expression) {
  const Expression& called = *expression.parts[0];
  if (called.kind == ExpressionKind::kAttribute) {
    const Value value = Part(called, 0);
    if (HasMethod(value, called.name)) {
      Arguments arguments = MakeArguments(expression, called.name);
      return CallMethod(value, called.name, arguments);
    }
    const Value attribute = Attribute(context_, value, called.name);
    if (attribute.IsUndefined()) context_.Fail("a method that is not known here", called.name);
    context_.FailKind("a call", attribute);
  }
  const Value value = Part(expression, 0);
  const Function* function = value.AsFunction();
  if (function == nullptr) {
    if (value.IsUndefined()) {
      context_.Fail("a function that is not known here", *value.AsUndefined()->name);
    }
    context_.FailKind("a call", value);
  }
  Arguments arguments = MakeArguments(expression, std::string(function->name));
  return CallFunction(*function, arguments);
}

Arguments ExpressionEvaluator::MakeArguments(const Expression& expression, std::string what,
                                             const Value* value) {
  std::vector<Value> positional;
  if (value != nullptr) positional.push_back(*value);
  for (size_t i = 1; i < expression.parts.size(); ++i) positional.push_back(Part(expression, i));
  std::vector<std::pair<std::string, Value>> keywords;
  keywords.reserve(expression.keywords.size());
  for (const auto& [name, part] : expression.keywords) keywords.emplace_back(name, Evaluate(*part));
  context_.At(expression.line);
  return {context_, std::move(what), std::move(positional), std::move(keywords)};
}

}  // namespace stocha::jinja
