// The text of a quoted string of a template: Python's escapes.
#ifndef STOCHA_JINJA_STRING_LITERAL_H_
#define STOCHA_JINJA_STRING_LITERAL_H_

#include <string>
#include <string_view>

namespace stocha::jinja {

// `body` stands between the quotes. A backslash before what is no escape stays. Throws Error,
// `where` at its head, on a broken \x, \u or \U, a surrogate, and \N, which needs names.
std::string Unescape(std::string_view body, const std::string& where);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_STRING_LITERAL_H_
