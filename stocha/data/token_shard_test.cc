#include "stocha/data/token_shard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "stocha/base/error.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

class TokenShardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::path(::testing::TempDir()) / ("shard-" + std::to_string(getpid()) + "-" + test->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path Write(const std::string& name, uint32_t vocab_size, const std::vector<int32_t>& ids,
                 std::byte tokenizer = std::byte{1}) {
    TokenizerDigest digest{};
    digest.fill(tokenizer);
    TokenShardWriter writer(folder_ / name, vocab_size, digest);
    writer.Append(ids, 10 * ids.size());
    writer.Commit();
    return folder_ / name;
  }

  static std::vector<int32_t> ReadAll(const TokenShard& shard) {
    std::vector<int32_t> ids(shard.size());
    shard.Read(0, ids);
    return ids;
  }

  static std::string OpenError(const fs::path& path) {
    try {
      TokenShard::Open(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
};

std::vector<int32_t> Counting(size_t count) {
  std::vector<int32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

TEST_F(TokenShardTest, ReadsBackTwoBytesAToken) {
  const std::vector<int32_t> ids = {0, 65535, 7, 32768};
  const fs::path path = Write("a.tokens", 65536, ids);
  EXPECT_EQ(fs::file_size(path), 64u + 4 * 2);
  const TokenShard shard = TokenShard::Open(path);
  EXPECT_EQ(ReadAll(shard), ids);
  EXPECT_EQ(shard.vocab_size(), 65536u);
  EXPECT_EQ(shard.text_bytes(), 40u);
  EXPECT_EQ(shard.tokenizer()[23], std::byte{1});
  std::vector<int32_t> middle(2);
  shard.Read(1, middle);
  EXPECT_EQ(middle, (std::vector<int32_t>{65535, 7}));
}

TEST_F(TokenShardTest, ReadsBackFourBytesAToken) {
  const std::vector<int32_t> ids = {65536, 0, 150000};
  const fs::path path = Write("a.tokens", 150001, ids);
  EXPECT_EQ(fs::file_size(path), 64u + 3 * 4);
  EXPECT_EQ(ReadAll(TokenShard::Open(path)), ids);
}

// Laid out by hand from the description in the header file.
TEST_F(TokenShardTest, FileIsAsDescribed) {
  const std::string content = ReadFile(Write("a.tokens", 300, {258, 3}, std::byte{'x'}));
  const std::string expected = std::string("STOCHTOK") + std::string("\1\0\0\0\2\0\0\0", 8) +
                               std::string("\2\0\0\0\0\0\0\0\24\0\0\0\0\0\0\0", 16) +
                               std::string("\54\1\0\0\0\0\0\0", 8) + std::string(24, 'x') +
                               std::string("\2\1\3\0", 4);
  EXPECT_EQ(content, expected);
}

TEST_F(TokenShardTest, ManyAppendsFillSeveralBuffers) {
  const std::vector<int32_t> ids = Counting(60000);
  {
    TokenShardWriter writer(folder_ / "a.tokens", 60000, {});
    for (int i = 0; i < 20; ++i) writer.Append(ids, 1);
    EXPECT_EQ(writer.size(), 1200000u);
    writer.Commit();
  }
  const std::vector<int32_t> read = ReadAll(TokenShard::Open(folder_ / "a.tokens"));
  ASSERT_EQ(read.size(), 1200000u);
  for (size_t i = 0; i < read.size(); ++i) ASSERT_EQ(read[i], static_cast<int32_t>(i % 60000));
}

TEST_F(TokenShardTest, WriterLeavesNothingWithoutCommit) {
  {
    TokenShardWriter writer(folder_ / "a.tokens", 10, {});
    writer.Append(Counting(5), 5);
    EXPECT_THROW(writer.Append(Counting(11), 5), Error);
    EXPECT_THROW(writer.Append(std::vector<int32_t>{-1}, 5), Error);
  }
  {
    TokenShardWriter empty(folder_ / "b.tokens", 10, {});
    EXPECT_THROW(empty.Commit(), Error);
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(TokenShardTest, RefusesWhatContradictsItself) {
  const std::string good = ReadFile(Write("good.tokens", 300, Counting(5)));
  const auto with = [&](size_t offset, const std::string& bytes) {
    std::string text = good;
    text.replace(offset, bytes.size(), bytes);
    return text;
  };
  // A vocabulary beyond the ids that an int32_t has: one of them would read as a negative one.
  std::string four_bytes = ReadFile(Write("four.tokens", 65537, Counting(5)));
  four_bytes.replace(32, 4, "\1\0\0\x90", 4);
  const std::pair<std::string, std::string> kCases[] = {
      {"", "no token shard: got 0 bytes"},
      {good.substr(0, 63), "no token shard: got 63 bytes"},
      {with(0, "X"), "no token shard: got XTOCHTOK"},
      {with(8, "\2"), "shard version: got 2"},
      {with(12, "\4"), "broken shard header"},
      {with(12, std::string("\0", 1)), "broken shard header"},
      {with(32, std::string(4, '\0')), "broken shard header"},
      {with(32, "\xff\xff\xff"), "broken shard header"},
      {with(36, "\1"), "broken shard header"},
      {four_bytes, "broken shard header: got vocab_size 2415919105"},
      {good.substr(0, good.size() - 1), "size contradicts the header"},
      {good + "ab", "size contradicts the header"},
      {with(16, "\xff\xff\xff\xff\xff\xff\xff\xff"), "size contradicts the header"},
      {with(16, std::string("\5\0\0\0\0\0\0\x80", 8)), "size contradicts the header"},
  };
  for (const auto& [content, message] : kCases) {
    const fs::path path = folder_ / "bad.tokens";
    WriteFile(path, content);
    EXPECT_NE(OpenError(path).find(message), std::string::npos) << OpenError(path);
  }
  EXPECT_NE(OpenError(folder_ / "missing.tokens").find("cannot open"), std::string::npos);
}

TEST_F(TokenShardTest, RefusesIdsOutsideTheVocabulary) {
  std::string content = ReadFile(Write("a.tokens", 300, Counting(5)));
  content.replace(64 + 3 * 2, 2, "\xff\xff");
  WriteFile(folder_ / "a.tokens", content);
  const TokenShard shard = TokenShard::Open(folder_ / "a.tokens");
  std::vector<int32_t> three(3);
  shard.Read(0, three);
  EXPECT_THROW(shard.Read(1, three), Error);
}

TEST_F(TokenShardTest, RefusesToReadPastTheEnd) {
  const TokenShard shard = TokenShard::Open(Write("a.tokens", 300, Counting(5)));
  std::vector<int32_t> three(3);
  EXPECT_THROW(shard.Read(3, three), Error);
  EXPECT_THROW(shard.Read(UINT64_MAX, three), Error);
  shard.Read(5, std::span<int32_t>());
}

TEST_F(TokenShardTest, OpensFoldersInNameOrder) {
  const fs::path b = Write("b.tokens", 300, {2});
  Write("a.tokens", 300, {1});
  WriteFile(folder_ / "notes.txt", "not a shard");
  const std::vector<std::string> paths = {folder_.string(), b.string()};
  const std::vector<TokenShard> shards = OpenShards(paths);
  ASSERT_EQ(shards.size(), 3u);
  EXPECT_EQ(ReadAll(shards[0]), std::vector<int32_t>{1});
  EXPECT_EQ(ReadAll(shards[1]), std::vector<int32_t>{2});
  EXPECT_EQ(ReadAll(shards[2]), std::vector<int32_t>{2});
}

TEST_F(TokenShardTest, OpenShardsRefusesNoneAndMixtures) {
  EXPECT_THROW(OpenShards({}), Error);
  const std::vector<std::string> folder = {folder_.string()};
  EXPECT_THROW(OpenShards(folder), Error);
  Write("a.tokens", 300, {1});
  Write("b.tokens", 301, {1});
  EXPECT_THROW(OpenShards(folder), Error);
  Write("b.tokens", 300, {1}, std::byte{2});
  EXPECT_THROW(OpenShards(folder), Error);
  Write("b.tokens", 300, {1});
  EXPECT_EQ(OpenShards(folder).size(), 2u);
}

TEST_F(TokenShardTest, DigestIsTheHeadOfSha256) {
  const fs::path path = folder_ / "tokenizer.json";
  WriteFile(path, "abc");  // FIPS 180-2, example B.1
  static constexpr uint8_t kExpected[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                          0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                          0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c};
  const TokenizerDigest digest = DigestTokenizer(path);
  EXPECT_EQ(std::memcmp(digest.data(), kExpected, sizeof(kExpected)), 0);
}

}  // namespace
}  // namespace stocha
