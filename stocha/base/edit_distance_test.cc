#include "stocha/base/edit_distance.h"

#include <gtest/gtest.h>

#include <string_view>

namespace stocha {
namespace {

TEST(EditDistanceTest, CountsCharactersOfTheString) {
  const auto distance = [](std::u32string_view a, std::u32string_view b) {
    return EditDistance(a, b);
  };
  EXPECT_EQ(distance(U"größe", U"grosse"), 3U);
  EXPECT_EQ(distance(U"", U"abc"), 3U);
  EXPECT_EQ(distance(U"abc", U""), 3U);
  EXPECT_EQ(distance(U"kitten", U"sitting"), 3U);
  EXPECT_EQ(EditDistance(std::string_view("kitten"), std::string_view("sitting")), 3U);
}

}  // namespace
}  // namespace stocha
