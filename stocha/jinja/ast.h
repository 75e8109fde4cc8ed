// A template as a tree. Its depth is bounded, so that whatever walks it may recurse.
#ifndef STOCHA_JINJA_AST_H_
#define STOCHA_JINJA_AST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stocha/jinja/value.h"

namespace stocha::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind : uint8_t {
  kConstant,
  kName,         // name
  kList,         // parts
  kTuple,        // parts
  kDict,         // parts: key, value, key, value ...
  kAttribute,    // parts[0].name
  kItem,         // parts[0][parts[1]]
  kSlice,        // parts[0][parts[1]:parts[2]:parts[3]]; null where left out
  kCall,         // parts[0](parts[1 ...], keywords)
  kFilter,       // parts[0] | name(parts[1 ...], keywords)
  kTest,         // parts[0] is name(parts[1 ...], keywords)
  kNot,          // not parts[0]
  kNegative,     // -parts[0]
  kAnd,          // parts[0] and parts[1]
  kOr,           // parts[0] or parts[1]
  kArithmetic,   // parts[0] NAME parts[1], of + - * / // % and ~
  kComparison,   // parts[0] operators[0] parts[1] operators[1] parts[2] ...
  kConditional,  // parts[0] if parts[1] else parts[2], which may be null
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1;
  int depth = 1;
  std::string name;
  Value constant;
  std::vector<ExpressionPtr> parts;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  std::vector<std::string> operators;
};

struct Statement;
using Body = std::vector<Statement>;

enum class StatementKind : uint8_t {
  kText,    // text
  kOutput,  // {{ value }}
  kIf,      // branches, then otherwise
  kFor,     // targets in value if condition: body; otherwise, where there was nothing
  kSet,     // targets = value
  kBreak,
  kContinue,
  kGroup,  // body, without a scope: {% generation %}
};

// Of an assignment: a name, or an attribute of a namespace.
struct Target {
  std::string name;
  std::string attribute;  // empty: none
};

struct Branch {
  ExpressionPtr condition;
  Body body;
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  std::string text;
  ExpressionPtr value;
  ExpressionPtr condition;
  std::vector<Target> targets;  // of a for and a set; several take a sequence apart
  bool takes_apart = false;     // (`a,` does too)
  std::vector<Branch> branches;
  Body body;
  Body otherwise;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_AST_H_
