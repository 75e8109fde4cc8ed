#include "stocha/model/bpe.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

// Bytes a to z are tokens 0 to 25; merges get ids from 100 in the order given, which is their rank.
BytePairModel MakeModel(const std::vector<std::pair<int32_t, int32_t>>& merges) {
  BytePairModel model{.byte_tokens = {}, .merges = MergeTable(merges.size())};
  model.byte_tokens.fill(BytePairModel::kNoToken);
  for (int32_t i = 0; i < 26; ++i)
    model.byte_tokens[static_cast<size_t>('a') + static_cast<size_t>(i)] = i;
  uint32_t rank = 0;
  for (const auto& [left, right] : merges) {
    model.merges.Insert(left, right, {rank, 100 + static_cast<int32_t>(rank)});
    ++rank;
  }
  return model;
}

std::vector<int32_t> Encode(const BytePairModel& model, std::string_view piece) {
  std::vector<int32_t> ids;
  BytePairEncoder encoder(model);
  encoder.Encode(piece, &ids);
  std::vector<int32_t> again;
  encoder.Encode(piece, &again);  // out of what was seen
  EXPECT_EQ(ids, again);
  return ids;
}

using Ids = std::vector<int32_t>;

TEST(MergeTableTest, FindsWhatWasInserted) {
  MergeTable table(3);
  table.Insert(1, 2, {7, 10});
  table.Insert(2, 1, {8, 11});
  table.Insert(1, 2, {9, 12});  // replaces
  ASSERT_NE(table.Find(1, 2), nullptr);
  EXPECT_EQ(table.Find(1, 2)->rank, 9U);
  EXPECT_EQ(table.Find(2, 1)->result, 11);
  EXPECT_EQ(table.Find(1, 1), nullptr);
  EXPECT_EQ(MergeTable(0).Find(0, 0), nullptr);
}

TEST(BytePairEncoderTest, MergesByRankNotFromTheLeft) {
  const BytePairModel model = MakeModel({{1, 2}, {0, 1}});  // bc before ab
  EXPECT_EQ(Encode(model, "abc"), (Ids{0, 100}));
  EXPECT_EQ(Encode(model, "ab"), (Ids{101}));
}

TEST(BytePairEncoderTest, TakesTheLeftmostOfOneRank) {
  const BytePairModel model = MakeModel({{0, 0}, {100, 100}});
  EXPECT_EQ(Encode(model, "aaa"), (Ids{100, 0}));
  EXPECT_EQ(Encode(model, "aaaaa"), (Ids{101, 0}));
}

TEST(BytePairEncoderTest, MergesMergedTokens) {
  const BytePairModel model = MakeModel({{0, 1}, {2, 3}, {100, 101}});
  EXPECT_EQ(Encode(model, "abcd"), (Ids{102}));
  EXPECT_EQ(Encode(model, "abcdab"), (Ids{102, 100}));
}

TEST(BytePairEncoderTest, UnknownBytes) {
  BytePairModel model = MakeModel({{0, 1}});
  EXPECT_EQ(Encode(model, "a!b"), (Ids{100}));  // vanish, and the neighbours meet
  model.unknown = 50;
  EXPECT_EQ(Encode(model, "a!?b"), (Ids{0, 50, 50, 1}));
  model.fuse_unknown = true;
  EXPECT_EQ(Encode(model, "!?a!?b!"), (Ids{50, 0, 50, 1, 50}));
}

TEST(BytePairEncoderTest, WholePiecesWin) {
  BytePairModel model = MakeModel({{0, 1}});
  model.whole_pieces.emplace("abc", 77);
  EXPECT_EQ(Encode(model, "abc"), (Ids{77}));
  EXPECT_EQ(Encode(model, "abca"), (Ids{100, 2, 0}));
}

TEST(BytePairEncoderTest, NothingGivesNothing) { EXPECT_EQ(Encode(MakeModel({}), ""), Ids{}); }

// Quadratic time would be 10^12 steps, and end at ctest's limit.
TEST(BytePairEncoderTest, AMegabyteOfOneLetter) {
  const BytePairModel model = MakeModel({{0, 0}, {100, 100}, {101, 101}});
  const Ids ids = Encode(model, std::string(1'000'000, 'a'));
  EXPECT_EQ(ids, Ids(125'000, 102));
}

}  // namespace
}  // namespace stocha
