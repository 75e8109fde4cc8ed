#include "stocha/model/unicode.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

using Ranges = std::vector<CodePointRange>;

TEST(CodePointSetTest, SortsAndJoinsRanges) {
  const CodePointSet set({{20, 30}, {1, 5}, {6, 8}, {25, 40}});
  EXPECT_EQ(set.ranges(), (Ranges{{1, 8}, {20, 40}}));
}

TEST(CodePointSetTest, ComplementReachesBothEnds) {
  const CodePointSet set({{5, 9}});
  EXPECT_EQ(set.Complement().ranges(), (Ranges{{0, 4}, {10, kMaxCodePoint}}));
  EXPECT_EQ(set.Complement().Complement(), set);
  EXPECT_EQ(CodePointSet().Complement().ranges(), (Ranges{{0, kMaxCodePoint}}));
  EXPECT_TRUE(CodePointSet().Complement().Complement().empty());
}

TEST(CodePointSetTest, UnionAndIntersection) {
  const CodePointSet a({{0, 10}, {20, 30}});
  const CodePointSet b({{5, 25}});
  EXPECT_EQ(a.Union(b).ranges(), (Ranges{{0, 30}}));
  EXPECT_EQ(a.Intersection(b).ranges(), (Ranges{{5, 10}, {20, 25}}));
}

TEST(CodePointSetTest, ContainsTheEndsOfRanges) {
  const CodePointSet set({{5, 9}, {20, 20}});
  for (const char32_t inside : {5, 9, 20}) EXPECT_TRUE(set.Contains(inside));
  for (const char32_t outside : {0, 4, 10, 19, 21}) EXPECT_FALSE(set.Contains(outside));
}

TEST(CodePointMapTest, GivesTheValueOfTheRun) {
  const std::vector<CodePointMap::Run> runs = {
      {0, 1}, {0x250, 2}, {0x10000, 3}, {kMaxCodePoint, 4}};
  const CodePointMap map(runs);
  EXPECT_EQ(map[0], 1);
  EXPECT_EQ(map[0x24F], 1);
  EXPECT_EQ(map[0x250], 2);
  EXPECT_EQ(map[0xFFFF], 2);
  EXPECT_EQ(map[0x10000], 3);
  EXPECT_EQ(map[kMaxCodePoint - 1], 3);
  EXPECT_EQ(map[kMaxCodePoint], 4);
}

TEST(CategorySetTest, ByShortNames) {
  EXPECT_TRUE(CategorySet("Lu")->Contains('A'));
  EXPECT_FALSE(CategorySet("Lu")->Contains('a'));
  EXPECT_TRUE(CategorySet("L")->Contains(0x4E2D));
  EXPECT_TRUE(CategorySet("Nd")->Contains(0x0967));
  EXPECT_TRUE(CategorySet("L")->Contains(0x10D4A));  // assigned in Unicode 16
  EXPECT_TRUE(CategorySet("Cn")->Contains(kMaxCodePoint));
  for (const char* unknown : {"", "l", "Lx", "Letter"})
    EXPECT_FALSE(CategorySet(unknown)) << unknown;
}

TEST(CombiningClassTest, MarksAndStarters) {
  EXPECT_EQ(CombiningClass('a'), 0);
  EXPECT_EQ(CombiningClass(0x0301), 230);
  EXPECT_EQ(CombiningClass(0x0323), 220);
  EXPECT_EQ(CombiningClass(0x0334), 1);
  EXPECT_TRUE(ReorderedSet().Contains(0x0301));
  EXPECT_FALSE(ReorderedSet().Contains('a'));
}

}  // namespace
}  // namespace stocha
