// What Python's str does, on UTF-8: lengths and positions count code points, blanks are Unicode's.
#ifndef STOCHA_JINJA_PYTHON_TEXT_H_
#define STOCHA_JINJA_PYTHON_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stocha::jinja {

int64_t CodePoints(std::string_view text);
// A view of each code point.
std::vector<std::string_view> Characters(std::string_view text);

enum class Side : uint8_t { kBoth, kLeft, kRight };
// str.strip and its kin: of the characters of `chars`, of blanks without it.
std::string_view Strip(std::string_view text, Side side,
                       std::optional<std::string_view> chars = {});

// str.split(separator, most): at blanks without a separator, which must not be empty; most < 0: no
// limit.
std::vector<std::string_view> Split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t most);

// str.replace(old, replacement, most). Stops, with nullopt, when more than `max_bytes` come out.
std::optional<std::string> Replace(std::string_view text, std::string_view old,
                                   std::string_view replacement, int64_t most, size_t max_bytes);

// The position of `needle` from `from` on, or npos; linear whatever they hold.
size_t Find(std::string_view text, std::string_view needle, size_t from = 0);

// Which of `length` elements a slice takes: `count` of them, from `first` on, `step` apart.
struct SliceRange {
  int64_t first = 0;
  int64_t step = 1;
  int64_t count = 0;
};
// Python's slice(start, stop, step).indices; step is not 0.
SliceRange ResolveSlice(int64_t length, std::optional<int64_t> start, std::optional<int64_t> stop,
                        int64_t step);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_PYTHON_TEXT_H_
