#include "stocha/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "stocha/jinja/parser.h"

namespace stocha::jinja {
namespace {

using Kind = ExpressionKind;

// Counts how deep the parser is within itself while it lives.
class Nesting {
 public:
  Nesting(int* depth, const TokenStream& tokens) : depth_(depth) {
    if (++*depth_ > kMaxNesting) tokens.Fail("nested too deeply", tokens.Current().line);
  }
  ~Nesting() { --*depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int* depth_;
};

}  // namespace

ExpressionPtr ExpressionParser::Finish(Expression expression) const {
  int depth = 0;
  const auto deepen = [&depth](const ExpressionPtr& part) {
    if (part != nullptr) depth = std::max(depth, part->depth);
  };
  for (const ExpressionPtr& part : expression.parts) deepen(part);
  for (const auto& [name, part] : expression.keywords) deepen(part);
  expression.depth = depth + 1;
  if (expression.depth > kMaxNesting) tokens_.Fail("an expression too long", expression.line);
  return std::make_unique<const Expression>(std::move(expression));
}

ExpressionPtr ExpressionParser::Make(ExpressionKind kind, int line, ExpressionPtr first,
                                     ExpressionPtr second, std::string name) const {
  Expression made = {.kind = kind, .line = line, .name = std::move(name)};
  made.parts.push_back(std::move(first));
  if (second != nullptr) made.parts.push_back(std::move(second));
  return Finish(std::move(made));
}

ExpressionPtr ExpressionParser::ParseOne(bool with_conditional) {
  return with_conditional ? ParseConditional() : ParseOr();
}

ExpressionPtr ExpressionParser::ParseTuple(bool with_conditional) {
  Expression tuple = {.kind = Kind::kTuple, .line = tokens_.Current().line};
  tuple.parts.push_back(ParseOne(with_conditional));
  if (!tokens_.IsOperator(",")) return std::move(tuple.parts.front());
  while (tokens_.TakeOperator(",")) {
    const TokenKind next = tokens_.Current().kind;
    if (next == TokenKind::kBlockEnd || next == TokenKind::kVariableEnd ||
        tokens_.IsOperator(")")) {
      break;
    }
    tuple.parts.push_back(ParseOne(with_conditional));
  }
  return Finish(std::move(tuple));
}

ExpressionPtr ExpressionParser::ParseConditional() {
  const Nesting nesting(&nesting_, tokens_);
  ExpressionPtr value = ParseOr();
  while (tokens_.IsName("if")) {
    Expression made = {.kind = Kind::kConditional, .line = tokens_.Take().line};
    made.parts.push_back(std::move(value));
    made.parts.push_back(ParseOr());
    made.parts.push_back(tokens_.TakeName("else") ? ParseConditional() : nullptr);
    value = Finish(std::move(made));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseOr() {
  ExpressionPtr left = ParseAnd();
  while (tokens_.IsName("or")) {
    const int line = tokens_.Take().line;
    ExpressionPtr right = ParseAnd();
    left = Make(Kind::kOr, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseAnd() {
  ExpressionPtr left = ParseNot();
  while (tokens_.IsName("and")) {
    const int line = tokens_.Take().line;
    ExpressionPtr right = ParseNot();
    left = Make(Kind::kAnd, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseNot() {
  if (!tokens_.IsName("not")) return ParseComparison();
  const Nesting nesting(&nesting_, tokens_);
  const int line = tokens_.Take().line;
  return Make(Kind::kNot, line, ParseNot());
}

std::string ExpressionParser::TakeComparison() {
  constexpr std::array<std::string_view, 6> kComparisons = {"==", "!=", "<", "<=", ">", ">="};
  for (const std::string_view symbol : kComparisons) {
    if (tokens_.TakeOperator(symbol)) return std::string(symbol);
  }
  if (tokens_.TakeName("in")) return "in";
  if (!tokens_.IsName("not") || !tokens_.IsName("in", 1)) return "";
  tokens_.Take();
  tokens_.Take();
  return "not in";
}

ExpressionPtr ExpressionParser::ParseComparison() {
  Expression made = {.kind = Kind::kComparison, .line = tokens_.Current().line};
  made.parts.push_back(ParseSum());
  for (std::string symbol = TakeComparison(); !symbol.empty(); symbol = TakeComparison()) {
    made.operators.push_back(std::move(symbol));
    made.parts.push_back(ParseSum());
  }
  return made.operators.empty() ? std::move(made.parts.front()) : Finish(std::move(made));
}

ExpressionPtr ExpressionParser::ParseSum() {
  ExpressionPtr left = ParseConcatenation();
  while (tokens_.IsOperator("+") || tokens_.IsOperator("-")) {
    const Token& symbol = tokens_.Take();
    ExpressionPtr right = ParseConcatenation();
    left = Make(Kind::kArithmetic, symbol.line, std::move(left), std::move(right), symbol.text);
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseConcatenation() {
  ExpressionPtr left = ParseProduct();
  while (tokens_.IsOperator("~")) {
    const int line = tokens_.Take().line;
    ExpressionPtr right = ParseProduct();
    left = Make(Kind::kArithmetic, line, std::move(left), std::move(right), "~");
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseProduct() {
  ExpressionPtr left = ParseUnary(/*with_filters=*/true);
  while (tokens_.IsOperator("*") || tokens_.IsOperator("/") || tokens_.IsOperator("//") ||
         tokens_.IsOperator("%")) {
    const Token& symbol = tokens_.Take();
    ExpressionPtr right = ParseUnary(/*with_filters=*/true);
    left = Make(Kind::kArithmetic, symbol.line, std::move(left), std::move(right), symbol.text);
  }
  return left;
}

ExpressionPtr ExpressionParser::ParseUnary(bool with_filters) {
  const Nesting nesting(&nesting_, tokens_);
  ExpressionPtr value;
  if (tokens_.IsOperator("-")) {
    const int line = tokens_.Take().line;
    value = Make(Kind::kNegative, line, ParseUnary(/*with_filters=*/false));
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::ParsePrimary() {
  const Token& token = tokens_.Current();
  Expression made = {.line = token.line};
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) return ParseNumber();
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (tokens_.Current().kind == TokenKind::kString) text += tokens_.Take().text;
    made.constant = Value(std::move(text));
  } else if (token.kind == TokenKind::kName) {
    const std::string& name = tokens_.Take().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      made.constant = Value(name == "true" || name == "True");
    } else if (name == "none" || name == "None") {
      made.constant = None{};
    } else {
      made.kind = Kind::kName;
      made.name = name;
    }
  } else if (tokens_.TakeOperator("(")) {
    if (tokens_.TakeOperator(")")) {
      made.kind = Kind::kTuple;
      return Finish(std::move(made));
    }
    ExpressionPtr inner = ParseTuple();
    tokens_.Expect(TokenKind::kOperator, ")");
    return inner;
  } else if (tokens_.TakeOperator("[")) {
    made.kind = Kind::kList;
    ParseItems("]", &made);
  } else if (tokens_.IsOperator("{")) {
    return ParseDict();
  } else {
    tokens_.Unexpected("a value");
  }
  return Finish(std::move(made));
}

ExpressionPtr ExpressionParser::ParseNumber() {
  const Token& token = tokens_.Take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  Expression made = {.line = token.line};
  std::errc error{};
  if (token.kind == TokenKind::kInteger) {
    int64_t value = 0;
    error = std::from_chars(begin, end, value).ec;
    made.constant = Value(value);
  } else {
    double value = 0;
    error = std::from_chars(begin, end, value).ec;
    made.constant = Value(value);
  }
  if (error != std::errc()) tokens_.Fail("a number too large", token.line, token.text);
  return Finish(std::move(made));
}

void ExpressionParser::ParseItems(std::string_view end, Expression* list) {
  while (!tokens_.TakeOperator(end)) {
    list->parts.push_back(ParseOne());
    if (!tokens_.IsOperator(end)) tokens_.Expect(TokenKind::kOperator, ",");
  }
}

ExpressionPtr ExpressionParser::ParseDict() {
  Expression made = {.kind = Kind::kDict, .line = tokens_.Take().line};
  while (!tokens_.TakeOperator("}")) {
    made.parts.push_back(ParseOne());
    tokens_.Expect(TokenKind::kOperator, ":");
    made.parts.push_back(ParseOne());
    if (!tokens_.IsOperator("}")) tokens_.Expect(TokenKind::kOperator, ",");
  }
  return Finish(std::move(made));
}

ExpressionPtr ExpressionParser::ParsePostfix(ExpressionPtr value) {
  while (true) {
    if (tokens_.IsOperator(".") || tokens_.IsOperator("[")) {
      value = ParseSubscript(std::move(value));
    } else if (tokens_.IsOperator("(")) {
      Expression call = {.kind = Kind::kCall, .line = tokens_.Current().line};
      call.parts.push_back(std::move(value));
      ParseArguments(&call);
      value = Finish(std::move(call));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::ParseSubscript(ExpressionPtr value) {
  const int line = tokens_.Current().line;
  if (tokens_.TakeOperator(".")) {
    return Make(Kind::kAttribute, line, std::move(value), nullptr, tokens_.ExpectName());
  }
  tokens_.Expect(TokenKind::kOperator, "[");
  Expression made = {.kind = Kind::kItem, .line = line};
  made.parts.push_back(std::move(value));
  made.parts.push_back(tokens_.IsOperator(":") ? nullptr : ParseOne());
  if (tokens_.IsOperator(":")) {
    made.kind = Kind::kSlice;
    for (int part = 2; part < 4; ++part) {
      const bool given =
          tokens_.TakeOperator(":") && !tokens_.IsOperator(":") && !tokens_.IsOperator("]");
      made.parts.push_back(given ? ParseOne() : nullptr);
    }
  }
  tokens_.Expect(TokenKind::kOperator, "]");
  return Finish(std::move(made));
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr value) {
  while (true) {
    if (tokens_.TakeOperator("|")) {
      Expression filter = {.kind = Kind::kFilter, .line = tokens_.Current().line};
      filter.name = tokens_.ExpectName();
      filter.parts.push_back(std::move(value));
      if (tokens_.IsOperator("(")) ParseArguments(&filter);
      value = Finish(std::move(filter));
    } else if (tokens_.IsName("is")) {
      value = ParseTest(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::ParseTest(ExpressionPtr value) {
  Expression test = {.kind = Kind::kTest, .line = tokens_.Take().line};
  const bool negated = tokens_.TakeName("not");
  test.name = tokens_.ExpectName();
  test.parts.push_back(std::move(value));
  const TokenKind next = tokens_.Current().kind;
  const bool ends = tokens_.IsName("else") || tokens_.IsName("or") || tokens_.IsName("and");
  if (tokens_.IsOperator("(")) {
    ParseArguments(&test);
  } else if (tokens_.IsName("is")) {
    tokens_.Unexpected("one test");
  } else if ((next == TokenKind::kName && !ends) || next == TokenKind::kString ||
             next == TokenKind::kInteger || next == TokenKind::kFloat || tokens_.IsOperator("[") ||
             tokens_.IsOperator("{")) {
    const Nesting nesting(&nesting_, tokens_);
    test.parts.push_back(ParsePostfix(ParsePrimary()));
  }
  const int line = test.line;
  ExpressionPtr made = Finish(std::move(test));
  return negated ? Make(Kind::kNot, line, std::move(made)) : std::move(made);
}

void ExpressionParser::ParseArguments(Expression* call) {
  tokens_.Expect(TokenKind::kOperator, "(");
  while (!tokens_.TakeOperator(")")) {
    if (tokens_.Current().kind == TokenKind::kName && tokens_.IsOperator("=", 1)) {
      std::string name = tokens_.Take().text;
      tokens_.Take();
      call->keywords.emplace_back(std::move(name), ParseOne());
    } else if (!call->keywords.empty()) {
      tokens_.Unexpected("a name and =, as before it");
    } else {
      call->parts.push_back(ParseOne());
    }
    if (!tokens_.IsOperator(")")) tokens_.Expect(TokenKind::kOperator, ",");
  }
}

}  // namespace stocha::jinja
