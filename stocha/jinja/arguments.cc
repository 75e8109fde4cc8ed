#include "stocha/jinja/arguments.h"

#include <algorithm>

namespace stocha::jinja {

std::optional<Value> Arguments::Take(std::string_view name) {
  if (next_ < positional_.size()) return positional_[next_++];
  const auto found = std::ranges::find_if(
      keywords_, [name](const auto& keyword) { return keyword.first == name; });
  if (found == keywords_.end()) return std::nullopt;
  Value value = std::move(found->second);
  keywords_.erase(found);
  return value;
}

Value Arguments::Require(std::string_view name) {
  std::optional<Value> value = Take(name);
  if (!value) context_.Fail(what_ + ": too few arguments");
  return *value;
}

std::optional<std::string> Arguments::TakeText(std::string_view name) {
  const std::optional<Value> value = Take(name);
  if (!value || value->IsNone()) return std::nullopt;
  if (value->Text() == nullptr) context_.FailKind("an argument of " + what_, *value);
  return *value->Text();
}

std::string Arguments::RequireText(std::string_view name) {
  const Value value = Require(name);
  if (value.Text() == nullptr) context_.FailKind("an argument of " + what_, value);
  return *value.Text();
}

int64_t Arguments::TakeInteger(std::string_view name, int64_t otherwise) {
  const std::optional<Value> value = Take(name);
  if (!value || value->IsNone()) return otherwise;
  int64_t integer = 0;
  if (!value->Integer(&integer)) context_.FailKind("an argument of " + what_, *value);
  return integer;
}

std::vector<Value> Arguments::TakeAll() {
  std::vector<Value> rest(positional_.begin() + static_cast<ptrdiff_t>(next_), positional_.end());
  next_ = positional_.size();
  return rest;
}

void Arguments::Finish() const {
  if (next_ < positional_.size()) context_.Fail(what_ + ": too many arguments");
  if (!keywords_.empty()) {
    context_.Fail(what_ + ": an argument that is not known here", keywords_.front().first);
  }
}

}  // namespace stocha::jinja
