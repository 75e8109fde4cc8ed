// What Python's operators and built-in functions do with values.
#ifndef STOCHA_JINJA_OPERATORS_H_
#define STOCHA_JINJA_OPERATORS_H_

#include <string>
#include <string_view>
#include <vector>

#include "stocha/jinja/context.h"
#include "stocha/jinja/value.h"

namespace stocha::jinja {

// `symbol` is + - * / // % or ~.
Value Arithmetic(Context& context, std::string_view symbol, const Value& left, const Value& right);
Value Negative(Context& context, const Value& value);

bool Equal(Context& context, const Value& left, const Value& right);
// `symbol` is == != < <= > >= in or "not in".
bool Compare(Context& context, std::string_view symbol, const Value& left, const Value& right);

// str(value), of what has no more than one line: lists and dicts are refused.
std::string ToText(Context& context, const Value& value);

// list(value), which uses a lazy list up. `what` wants it, for errors.
std::vector<Value> Elements(Context& context, const Value& value, std::string_view what);

// len(value).
int64_t Length(Context& context, const Value& value);

// value[key]; undefined where there is none.
Value Item(Context& context, const Value& value, const Value& key);
// value[start:stop:step]; none stands for what is left out.
Value Slice(Context& context, const Value& value, const Value& start, const Value& stop,
            const Value& step);
// value.name, of what is not a method; undefined where there is none.
Value Attribute(Context& context, const Value& value, const std::string& name);

// An undefined value of this name.
Value MakeUndefined(const std::string& name);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_OPERATORS_H_
