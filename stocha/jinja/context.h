// What evaluating a template carries along: where it is, for errors, and what it may still use up.
#ifndef STOCHA_JINJA_CONTEXT_H_
#define STOCHA_JINJA_CONTEXT_H_

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/jinja/value.h"

namespace stocha::jinja {

// A template that needs more is refused: whatever it says, it ends, in bounded time and memory.
struct Limits {
  int64_t steps = 4'000'000;           // parts of the tree, elements of lists and dicts
  int64_t bytes = int64_t{256} << 20;  // of text read and made, the output too
};

class Context {
 public:
  Context(std::string where, const Limits& limits, std::time_t now)
      : where_(std::move(where)), left_(limits), now_(now) {}

  void At(int line) { line_ = line; }
  int line() const { return line_; }
  std::time_t now() const { return now_; }
  int64_t bytes_left() const { return left_.bytes; }

  // Throw Error when there is nothing left.
  void Step(int64_t count = 1);
  void Bytes(int64_t count);

  [[noreturn]] void Fail(std::string what, std::string_view got = "",
                         std::string_view expected = "", std::string_view hint = "") const;
  // `value` cannot be used for `what`.
  [[noreturn]] void FailKind(std::string_view what, const Value& value) const;

  // A text that was made, counted.
  Value Text(std::string text);
  Value Text(std::string_view text) { return Text(std::string(text)); }
  // A list of values that may be in one.
  Value MakeList(std::vector<Value> items, bool tuple = false, bool lazy = false);
  // Throws Error on what no container may hold, and where one would become too deep.
  void CheckElement(const Value& value) const;

 private:
  std::string where_;
  Limits left_;
  std::time_t now_;
  int line_ = 1;
};

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_CONTEXT_H_
