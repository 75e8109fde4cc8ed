#include "stocha/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "stocha/jinja/expression_parser.h"
#include "stocha/jinja/token_stream.h"

namespace stocha::jinja {
namespace {

class Parser {
 public:
  Parser(const std::vector<Token>& tokens, const std::string& where)
      : tokens_(tokens, where), expressions_(tokens_) {}

  Body Run() { return ParseBody({}, 1, ""); }

 private:
  // Up to a tag of these names, whose name is the next token then; up to the end without any.
  // `line` and `tag` are those of the tag that opened the body.
  Body ParseBody(std::initializer_list<std::string_view> ends, int line, std::string_view tag) {
    if (++nesting_ > kMaxNesting) tokens_.Fail("nested too deeply", line);
    Body body;
    while (true) {
      const Token& token = tokens_.Current();
      if (token.kind == TokenKind::kEnd) {
        if (ends.size() > 0) {
          tokens_.Fail("\"" + std::string(tag) + "\" without its end", line, "",
                       "{% " + std::string(*(ends.end() - 1)) + " %}");
        }
        break;
      }
      if (token.kind == TokenKind::kData) {
        body.push_back({.kind = StatementKind::kText, .line = token.line, .text = token.text});
        tokens_.Take();
      } else if (token.kind == TokenKind::kVariableBegin) {
        Statement output = {.kind = StatementKind::kOutput, .line = tokens_.Take().line};
        output.value = expressions_.ParseTuple();
        tokens_.Expect(TokenKind::kVariableEnd, "");
        body.push_back(std::move(output));
      } else {
        tokens_.Expect(TokenKind::kBlockBegin, "");
        if (std::ranges::any_of(ends, [this](auto end) { return tokens_.IsName(end); })) break;
        body.push_back(ParseTag());
      }
    }
    --nesting_;
    return body;
  }

  void EndTag() { tokens_.Expect(TokenKind::kBlockEnd, ""); }

  Statement ParseTag() {
    const int line = tokens_.Current().line;
    const std::string name = tokens_.ExpectName();
    if (name == "if") return ParseIf(line);
    if (name == "for") return ParseFor(line);
    if (name == "set") return ParseSet(line);
    Statement made = {.line = line};
    if (name == "break" || name == "continue") {
      if (loops_ == 0) tokens_.Fail("outside of a loop", line, name);
      made.kind = name == "break" ? StatementKind::kBreak : StatementKind::kContinue;
      EndTag();
      return made;
    }
    if (name == "generation") {
      made.kind = StatementKind::kGroup;
      EndTag();
      made.body = ParseBody({"endgeneration"}, line, name);
      tokens_.Take();
      EndTag();
      return made;
    }
    tokens_.Fail("a tag that is not known here", line, "{% " + name + " %}",
                 "if, for, set, break, continue, generation");
  }

  Statement ParseIf(int line) {
    Statement made = {.kind = StatementKind::kIf, .line = line};
    while (true) {
      Branch branch = {.condition = expressions_.ParseTuple(/*with_conditional=*/false)};
      EndTag();
      branch.body = ParseBody({"elif", "else", "endif"}, line, "if");
      made.branches.push_back(std::move(branch));
      if (tokens_.TakeName("elif")) continue;
      if (tokens_.TakeName("else")) {
        EndTag();
        made.otherwise = ParseBody({"endif"}, line, "else");
      }
      tokens_.Take();
      EndTag();
      return made;
    }
  }

  Statement ParseFor(int line) {
    Statement made = {.kind = StatementKind::kFor, .line = line};
    ParseTargets(&made, /*with_attributes=*/false);
    tokens_.Expect(TokenKind::kName, "in");
    made.value = expressions_.ParseTuple(/*with_conditional=*/false);
    if (tokens_.TakeName("if")) made.condition = expressions_.ParseOne();
    if (tokens_.IsName("recursive")) {
      tokens_.Fail("a kind of loop that is not known here", line, "recursive");
    }
    EndTag();
    ++loops_;
    made.body = ParseBody({"else", "endfor"}, line, "for");
    --loops_;
    if (tokens_.TakeName("else")) {
      EndTag();
      made.otherwise = ParseBody({"endfor"}, line, "else");
    }
    tokens_.Take();
    EndTag();
    return made;
  }

  Statement ParseSet(int line) {
    Statement made = {.kind = StatementKind::kSet, .line = line};
    ParseTargets(&made, /*with_attributes=*/true);
    tokens_.Expect(TokenKind::kOperator, "=");
    made.value = expressions_.ParseTuple();
    EndTag();
    return made;
  }

  void ParseTargets(Statement* made, bool with_attributes) {
    const bool in_brackets = tokens_.TakeOperator("(");
    while (true) {
      const Token& token = tokens_.Current();
      Target target = {.name = tokens_.ExpectName()};
      if (with_attributes && tokens_.TakeOperator(".")) target.attribute = tokens_.ExpectName();
      constexpr std::string_view kReserved[] = {"true", "True", "false", "False",
                                                "none", "None", "loop"};
      if (target.attribute.empty() && std::ranges::count(kReserved, target.name) > 0) {
        tokens_.Fail("a name that cannot be set", token.line, target.name);
      }
      made->targets.push_back(std::move(target));
      if (!tokens_.TakeOperator(",")) break;
      made->takes_apart = true;
      if (tokens_.Current().kind != TokenKind::kName || tokens_.IsName("in")) break;
    }
    if (in_brackets) tokens_.Expect(TokenKind::kOperator, ")");
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int nesting_ = 0;
  int loops_ = 0;
};

}  // namespace

Body Parse(const std::vector<Token>& tokens, const std::string& where) {
  return Parser(tokens, where).Run();
}

}  // namespace stocha::jinja
