// The one exception type, and the five things its message says.
//
// Every message is a single line (control characters are escaped, long values cut), so that a
// script or a log shows it whole. Errors are caught in cli/main.cc and train/main.cc alone; the
// library never prints and never exits.
#ifndef STOCHA_BASE_ERROR_H_
#define STOCHA_BASE_ERROR_H_

#include <stdexcept>
#include <string>
#include <string_view>

namespace stocha {

// "WHERE: WHAT: got GOT, expected EXPECTED; HINT". Empty parts are left out.
struct ErrorParts {
  std::string where;     // the file, flag, tensor or recipe key at fault
  std::string what;      // what is wrong with it
  std::string got;       // the value found
  std::string expected;  // what would have been accepted
  std::string hint;      // what to do next
};

class Error : public std::runtime_error {
 public:
  explicit Error(const ErrorParts& parts);
  // The same with something else to do next, which only the caller knows.
  Error(const Error& error, std::string_view hint);
};

// A command line that cannot be understood: exit code 2 instead of 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

// `text` on one line of at most `max_bytes`: control characters and broken UTF-8 become \xNN, the
// rest is cut with "...".
std::string Printable(std::string_view text, size_t max_bytes = 200);

// strerror, thread-safe, e.g. "No space left on device".
std::string ErrnoMessage(int error_number);

}  // namespace stocha

#endif  // STOCHA_BASE_ERROR_H_
