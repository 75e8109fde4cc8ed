#include "stocha/jinja/context.h"

#include <algorithm>

#include "stocha/base/error.h"

namespace stocha::jinja {

void Context::Step(int64_t count) {
  left_.steps -= std::min(count, left_.steps + 1);
  if (left_.steps < 0) Fail("the template takes too many steps");
}

void Context::Bytes(int64_t count) {
  left_.bytes -= std::min(count, left_.bytes + 1);
  if (left_.bytes < 0) Fail("the template makes too much text");
}

void Context::Fail(std::string what, std::string_view got, std::string_view expected,
                   std::string_view hint) const {
  throw Error({.where = where_ + ":" + std::to_string(line_),
               .what = std::move(what),
               .got = std::string(got),
               .expected = std::string(expected),
               .hint = std::string(hint)});
}

void Context::FailKind(std::string_view what, const Value& value) const {
  if (const Undefined* undefined = value.AsUndefined()) {
    Fail("\"" + *undefined->name + "\" is undefined");
  }
  Fail(std::string(what) + ": not possible with " + std::string(value.KindName()));
}

Value Context::Text(std::string text) {
  Bytes(std::ssize(text));
  return Value(std::move(text));
}

void Context::CheckElement(const Value& value) const {
  if (value.AsNamespace() != nullptr || value.AsLoop() != nullptr) {
    FailKind("keeping it in another value", value);
  }
  if (value.depth() >= kMaxValueDepth) Fail("lists and dicts nested too deeply");
}

Value Context::MakeList(std::vector<Value> items, bool tuple, bool lazy) {
  Step(std::ssize(items));
  auto list = std::make_shared<List>();
  list->items = std::move(items);
  list->tuple = tuple;
  list->lazy = lazy;
  for (const Value& item : list->items) {
    CheckElement(item);
    list->depth = std::max(list->depth, item.depth() + 1);
  }
  return Value(std::move(list));
}

}  // namespace stocha::jinja
