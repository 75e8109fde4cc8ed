// Expressions and statements of a template, computed.
#ifndef STOCHA_JINJA_EVALUATOR_H_
#define STOCHA_JINJA_EVALUATOR_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/jinja/arguments.h"
#include "stocha/jinja/ast.h"
#include "stocha/jinja/context.h"
#include "stocha/jinja/value.h"

namespace stocha::jinja {

// Names and what they stand for; those of an inner scope hide those of the outer ones.
class Scopes {
 public:
  Scopes() : scopes_(1) {}

  void Enter() { scopes_.emplace_back(); }
  void Leave() { scopes_.pop_back(); }
  void Set(const std::string& name, Value value) { scopes_.back()[name] = std::move(value); }
  // The value, a function of that name, or undefined.
  Value Find(const std::string& name) const;

 private:
  std::vector<std::map<std::string, Value, std::less<>>> scopes_;
};

class ExpressionEvaluator {
 public:
  ExpressionEvaluator(Context& context, const Scopes& scopes)
      : context_(context), scopes_(scopes) {}

  Value Evaluate(const Expression& expression);
  bool Truth(const Expression& expression) { return Evaluate(expression).Truth(); }

 private:
  Value Part(const Expression& expression, size_t index) {
    return Evaluate(*expression.parts[index]);
  }
  // A part that may have been left out: then none.
  Value PartOrNone(const Expression& expression, size_t index);
  std::vector<Value> Parts(const Expression& expression, size_t first);
  Value MakeDict(const Expression& expression);
  Value GetAttribute(const Expression& expression);
  bool Comparison(const Expression& expression);
  Value Call(const Expression& expression);
  // What a call of `what` has in brackets, behind `value`, where there is one.
  Arguments MakeArguments(const Expression& expression, std::string what,
                          const Value* value = nullptr);

  Context& context_;
  const Scopes& scopes_;
};

// Runs the statements of a template; what they print is in `out`.
class Interpreter {
 public:
  Interpreter(Context& context, Scopes& scopes, std::string* out)
      : context_(context), scopes_(scopes), expressions_(context, scopes), out_(out) {}

  void Run(const Body& body);

 private:
  enum class Flow : uint8_t { kOn, kBreak, kContinue };

  Flow RunBody(const Body& body);
  Flow RunStatement(const Statement& statement);
  Flow RunIf(const Statement& statement);
  Flow RunFor(const Statement& statement);
  void Assign(const Statement& statement, const Value& value);
  void AssignOne(const Target& target, const Value& value);

  Context& context_;
  Scopes& scopes_;
  ExpressionEvaluator expressions_;
  std::string* out_;
  int loops_ = 0;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_EVALUATOR_H_
