// Expressions, with Jinja's precedence: if-else, or, and, not, comparisons, + and -, ~, * / // and
// %, a sign, then calls, attributes, filters and tests.
#ifndef STOCHA_JINJA_EXPRESSION_PARSER_H_
#define STOCHA_JINJA_EXPRESSION_PARSER_H_

#include <functional>
#include <string>

#include "stocha/jinja/ast.h"
#include "stocha/jinja/token_stream.h"

namespace stocha::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // One expression, or several with commas between, which are a tuple.
  ExpressionPtr ParseTuple(bool with_conditional = true);
  // The same without a tuple.
  ExpressionPtr ParseOne(bool with_conditional = true);

 private:
  using Operand = ExpressionPtr (ExpressionParser::*)();

  ExpressionPtr ParseConditional();
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseComparison();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcatenation();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParseSigned();
  ExpressionPtr ParseUnary(bool with_filters);
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParsePostfix(ExpressionPtr value);
  ExpressionPtr ParseFilters(ExpressionPtr value);
  ExpressionPtr ParseTest(ExpressionPtr value);
  ExpressionPtr ParseSubscript(ExpressionPtr value);
  void ParseArguments(Expression* call);
  void ParseItems(std::string_view end, Expression* list);
  ExpressionPtr ParseDict();
  ExpressionPtr ParseNumber();

  // The comparison at the current token, which is taken, or "".
  std::string TakeComparison();
  // Sets the depth, which must not be too large.
  ExpressionPtr Finish(Expression expression) const;
  ExpressionPtr Make(ExpressionKind kind, int line, ExpressionPtr first,
                     ExpressionPtr second = nullptr, std::string name = "") const;

  TokenStream& tokens_;
  int nesting_ = 0;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_EXPRESSION_PARSER_H_
