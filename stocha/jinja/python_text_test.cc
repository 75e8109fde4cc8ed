#include "stocha/jinja/python_text.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace stocha::jinja {
namespace {

using Parts = std::vector<std::string_view>;

TEST(PythonTextTest, CountsCodePoints) {
  EXPECT_EQ(CodePoints("a\u00e9\u4e2d\U0001F600"), 4);
  EXPECT_EQ(Characters("a\u00e9\u4e2d"), (Parts{"a", "\u00e9", "\u4e2d"}));
}

TEST(PythonTextTest, StripsUnicodeBlanks) {
  EXPECT_EQ(Strip("\u3000\t a b\u00a0\n", Side::kBoth), "a b");
  EXPECT_EQ(Strip("\u200ba", Side::kBoth), "\u200ba");  // no blank in Python either
  EXPECT_EQ(Strip(" a ", Side::kLeft), "a ");
  EXPECT_EQ(Strip("xyaxy", Side::kRight, "yx"), "xya");
  EXPECT_EQ(Strip("\u00e9a\u00e8", Side::kBoth, "\u00e9"), "a\u00e8");
}

TEST(PythonTextTest, Splits) {
  EXPECT_EQ(Split("a,,b", ",", -1), (Parts{"a", "", "b"}));
  EXPECT_EQ(Split("a,b,c", ",", 1), (Parts{"a", "b,c"}));
  EXPECT_EQ(Split("", ",", -1), Parts{""});
  EXPECT_EQ(Split("  a \n b  ", {}, -1), (Parts{"a", "b"}));
  EXPECT_EQ(Split(" a b  c ", {}, 1), (Parts{"a", "b  c"}));
  EXPECT_TRUE(Split(" \t", {}, -1).empty());
}

TEST(PythonTextTest, Replaces) {
  EXPECT_EQ(Replace("aXbX", "X", "--", -1, 100), "a--b--");
  EXPECT_EQ(Replace("aXbX", "X", "", 1, 100), "abX");
  EXPECT_EQ(Replace("\u00e9b", "", "-", -1, 100), "-\u00e9-b-");
  EXPECT_FALSE(Replace("aaaa", "a", "0123456789", -1, 39));
  EXPECT_TRUE(Replace("aaaa", "a", "0123456789", -1, 40));
}

// [start, stop, step] of 5 elements, and what Python's range(5)[...] gives.
TEST(PythonTextTest, SlicesAsPythonDoes) {
  const auto taken = [](std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step) {
    const SliceRange range = ResolveSlice(5, start, stop, step);
    std::vector<int64_t> indices;
    indices.reserve(static_cast<size_t>(range.count));
    for (int64_t i = 0; i < range.count; ++i) indices.push_back(range.first + i * range.step);
    return indices;
  };
  using Indices = std::vector<int64_t>;
  EXPECT_EQ(taken({}, {}, -1), (Indices{4, 3, 2, 1, 0}));
  EXPECT_EQ(taken(1, {}, 1), (Indices{1, 2, 3, 4}));
  EXPECT_EQ(taken(-2, {}, 1), (Indices{3, 4}));
  EXPECT_EQ(taken({}, -1, 2), (Indices{0, 2}));
  EXPECT_EQ(taken(3, 0, -2), (Indices{3, 1}));
  EXPECT_EQ(taken(4, 2, 1), Indices{});
  EXPECT_EQ(taken(INT64_MIN, INT64_MAX, INT64_MAX), Indices{0});
  EXPECT_EQ(taken(INT64_MAX, INT64_MIN, INT64_MIN), Indices{4});
}

}  // namespace
}  // namespace stocha::jinja
