#include <memory>

#include "stocha/jinja/evaluator.h"
#include "stocha/jinja/operators.h"

namespace stocha::jinja {

void Interpreter::Run(const Body& body) { RunBody(body); }

Interpreter::Flow Interpreter::RunBody(const Body& body) {
  for (const Statement& statement : body) {
    const Flow flow = RunStatement(statement);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::RunStatement(const Statement& statement) {
  context_.At(statement.line);
  context_.Step();
  switch (statement.kind) {
    case StatementKind::kText:
      context_.Bytes(std::ssize(statement.text));
      *out_ += statement.text;
      return Flow::kOn;
    case StatementKind::kOutput: {
      const std::string text = ToText(context_, expressions_.Evaluate(*statement.value));
      context_.Bytes(std::ssize(text));
      *out_ += text;
      return Flow::kOn;
    }
    case StatementKind::kIf:
      return RunIf(statement);
    case StatementKind::kFor:
      return RunFor(statement);
    case StatementKind::kSet:
      Assign(statement, expressions_.Evaluate(*statement.value));
      return Flow::kOn;
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kGroup:
      return RunBody(statement.body);
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::RunIf(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    if (expressions_.Truth(*branch.condition)) return RunBody(branch.body);
  }
  return RunBody(statement.otherwise);
}

// Each turn has a scope of its own: what is set within is gone in the next one.
Interpreter::Flow Interpreter::RunFor(const Statement& statement) {
  const Value value = expressions_.Evaluate(*statement.value);
  auto loop = std::make_shared<Loop>();
  loop->depth = ++loops_;
  for (Value& item : Elements(context_, value, "a loop")) {
    if (statement.condition != nullptr) {
      scopes_.Enter();
      Assign(statement, item);
      const bool wanted = expressions_.Truth(*statement.condition);
      scopes_.Leave();
      if (!wanted) continue;
    }
    loop->items.push_back(std::move(item));
  }
  Flow flow = Flow::kOn;
  for (loop->index = 0; loop->index < loop->items.size() && flow != Flow::kBreak; ++loop->index) {
    scopes_.Enter();
    scopes_.Set("loop", Value(loop));
    Assign(statement, loop->items[loop->index]);
    flow = RunBody(statement.body);
    scopes_.Leave();
  }
  --loops_;
  return loop->items.empty() ? RunBody(statement.otherwise) : Flow::kOn;
}

void Interpreter::Assign(const Statement& statement, const Value& value) {
  context_.At(statement.line);
  if (!statement.takes_apart) {
    AssignOne(statement.targets.front(), value);
    return;
  }
  const std::vector<Value> items = Elements(context_, value, "taking it apart");
  if (items.size() != statement.targets.size()) {
    context_.Fail("values for so many names", std::to_string(items.size()),
                  std::to_string(statement.targets.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) AssignOne(statement.targets[i], items[i]);
}

void Interpreter::AssignOne(const Target& target, const Value& value) {
  if (target.attribute.empty()) {
    scopes_.Set(target.name, value);
    return;
  }
  const Value found = scopes_.Find(target.name);
  Namespace* space = found.AsNamespace();
  if (space == nullptr) context_.Fail("not a namespace", target.name);
  if (target.attribute.starts_with('_')) {
    context_.Fail("an attribute of a namespace that begins with _", target.attribute);
  }
  context_.CheckElement(value);
  context_.Step(std::ssize(space->attributes.entries));
  space->attributes.Set(target.attribute, value);
}

}  // namespace stocha::jinja
