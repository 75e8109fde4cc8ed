// A subset of Jinja, enough for the chat templates of SmolLM2, Llama 3, Qwen 2.5 and Qwen 3, with
// the settings of transformers (trim_blocks, lstrip_blocks, break and continue, its tojson) and the
// same text out of it. What is beyond the subset is refused with the line and by name: parser.h and
// builtins.h say what there is.
#ifndef STOCHA_JINJA_TEMPLATE_H_
#define STOCHA_JINJA_TEMPLATE_H_

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "stocha/jinja/ast.h"
#include "stocha/jinja/context.h"

namespace stocha::jinja {

// Immutable and thread-safe; movable.
class Template {
 public:
  // `where` names it in errors, with the line. Throws Error: text that is not UTF-8 or too long,
  // and what is not understood.
  static Template Parse(std::string_view text, std::string where);

  // `variables` is an object. `now` is for strftime_now, in local time. Throws Error: what is
  // not known, or not possible in Python either, raise_exception, and limits.
  std::string Render(const nlohmann::ordered_json& variables, std::time_t now,
                     const Limits& limits = {}) const;

 private:
  Template(Body body, std::string where) : body_(std::move(body)), where_(std::move(where)) {}

  Body body_;
  std::string where_;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_TEMPLATE_H_
