// What a filter, a test, a method or a function is called with.
#ifndef STOCHA_JINJA_ARGUMENTS_H_
#define STOCHA_JINJA_ARGUMENTS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/jinja/context.h"
#include "stocha/jinja/operators.h"
#include "stocha/jinja/value.h"

namespace stocha::jinja {

class Arguments {
 public:
  // `what` is called: "the filter trim" ..., for errors.
  Arguments(Context& context, std::string what, std::vector<Value> positional,
            std::vector<std::pair<std::string, Value>> keywords)
      : context_(context),
        what_(std::move(what)),
        positional_(std::move(positional)),
        keywords_(std::move(keywords)) {}

  Context& context() const { return context_; }
  const std::string& what() const { return what_; }

  // The next argument, by its place or its name; an empty name has none.
  std::optional<Value> Take(std::string_view name = "");
  // The same of one that must be there, or be of a kind. An absent text is none.
  Value Require(std::string_view name = "");
  std::optional<std::string> TakeText(std::string_view name = "");
  std::string RequireText(std::string_view name = "");
  int64_t TakeInteger(std::string_view name, int64_t otherwise);
  // All positional ones left, and all named ones.
  std::vector<Value> TakeAll();
  std::vector<std::pair<std::string, Value>> TakeKeywords() { return std::move(keywords_); }
  // Throws Error when an argument was not taken.
  void Finish() const;

 private:
  Context& context_;
  std::string what_;
  std::vector<Value> positional_;
  size_t next_ = 0;
  std::vector<std::pair<std::string, Value>> keywords_;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_ARGUMENTS_H_
