#include "stocha/jinja/template.h"

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"
#include "stocha/jinja/evaluator.h"
#include "stocha/jinja/lexer.h"
#include "stocha/jinja/parser.h"

namespace stocha::jinja {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

}  // namespace

Template Template::Parse(std::string_view text, std::string where) {
  if (text.size() > kMaxTemplateBytes) {
    throw Error({.where = where,
                 .what = "template too long",
                 .got = std::to_string(text.size()) + " bytes",
                 .expected = "at most " + std::to_string(kMaxTemplateBytes)});
  }
  if (!IsUtf8(text)) throw Error({.where = where, .what = "template is not UTF-8"});
  Body body = jinja::Parse(Tokenize(text, where), where);
  return Template(std::move(body), std::move(where));
}

std::string Template::Render(const nlohmann::ordered_json& variables, std::time_t now,
                             const Limits& limits) const {
  Context context(where_, limits, now);
  Scopes scopes;
  for (const auto& [name, value] : variables.items()) scopes.Set(name, FromJson(value));
  std::string out;
  Interpreter(context, scopes, &out).Run(body_);
  return out;
}

}  // namespace stocha::jinja
