// Tokens into the tree of a template.
//
// Understood: text, {{ }}, if, elif, else, for (with `if` and `else`), set, break, continue,
// generation, comments; expressions with Jinja's precedence. Refused by name: macro, call, filter,
// block, include, import, extends, with, raw, set without "=", recursive, **, * and ** in calls.
#ifndef STOCHA_JINJA_PARSER_H_
#define STOCHA_JINJA_PARSER_H_

#include <string>
#include <vector>

#include "stocha/jinja/ast.h"
#include "stocha/jinja/lexer.h"

namespace stocha::jinja {

// Of expressions and statements, each within itself.
inline constexpr int kMaxNesting = 100;

// `tokens` ends in kEnd. Throws Error, "WHERE:LINE" at its head.
Body Parse(const std::vector<Token>& tokens, const std::string& where);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_PARSER_H_
