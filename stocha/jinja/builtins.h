// The filters, tests, methods and functions that there are. Those of Jinja and Python that are not
// listed are refused by name, where they are come to.
#ifndef STOCHA_JINJA_BUILTINS_H_
#define STOCHA_JINJA_BUILTINS_H_

#include <string>
#include <string_view>

#include "stocha/jinja/arguments.h"
#include "stocha/jinja/value.h"

namespace stocha::jinja {

// default, d, first, items, join, last, length, count, list, lower, map, reject, rejectattr,
// replace, select, selectattr, string, tojson, trim, upper; the value is the first argument.
Value ApplyFilter(std::string_view name, Arguments& arguments);

// boolean, defined, divisibleby, eq, equalto, even, false, float, ge, greaterthan, gt, in, integer,
// iterable, le, lessthan, lt, mapping, ne, none, number, odd, sequence, string, true, undefined;
// likewise.
bool ApplyTest(std::string_view name, Arguments& arguments);

// Whether Python's str, dict or list has a method of this name, known here or not.
bool HasMethod(const Value& value, std::string_view name);
// Of a string: endswith, lower, lstrip, replace, rstrip, split, startswith, strip, upper; of a
// dict: get, items, keys, values.
Value CallMethod(const Value& value, std::string_view name, Arguments& arguments);

// dict, namespace, raise_exception, range, strftime_now; null of another name.
const Function* FindFunction(std::string_view name);
Value CallFunction(const Function& function, Arguments& arguments);

// json.dumps(value, ensure_ascii=False), with an indent of so many spaces, or none below 0.
std::string ToJson(Context& context, const Value& value, int64_t indent);

// str.upper and str.lower of ASCII; other letters are refused.
Value ChangeCase(Context& context, const std::string& text, bool upper);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_BUILTINS_H_
