#include "stocha/data/text_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

std::string Compress(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class TextReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::path(::testing::TempDir()) / ("text-" + std::to_string(getpid()) + "-" + test->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path Write(const std::string& name, const std::string& content) {
    WriteFile(folder_ / name, content);
    return folder_ / name;
  }

  std::vector<std::string> Read(const std::string& name, const std::string& content) {
    std::vector<std::string> documents;
    ReadDocuments(Write(name, content),
                  [&](std::string_view text, TextProgress) { documents.emplace_back(text); });
    return documents;
  }

  std::string ErrorOf(const std::string& name, const std::string& content) {
    try {
      Read(name, content);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
};

using Documents = std::vector<std::string>;

TEST_F(TextReaderTest, TxtIsOneDocumentOfAnyBytes) {
  const std::string text("one\ntwo\xff\0three\r\n", 16);
  EXPECT_EQ(Read("a.txt", text), Documents{text});
  EXPECT_EQ(Read("a.txt", ""), Documents{});
  EXPECT_EQ(Read("a.txt.zst", Compress(text)), Documents{text});
  EXPECT_EQ(Read("a.txt.zst", Compress("")), Documents{});
}

TEST_F(TextReaderTest, JsonLinesIsOneDocumentALine) {
  const std::string lines =
      "{\"text\": \"a\\nb\", \"id\": 3}\r\n"
      "\n"
      "{\"text\": \"\"}\n"
      "{\"meta\": {\"text\": \"no\"}, \"text\": \"\\u00fc\\ud83d\\ude00\"}";  // no newline at the
                                                                              // end
  const Documents expected = {"a\nb", "\xc3\xbc\xf0\x9f\x98\x80"};
  EXPECT_EQ(Read("a.jsonl", lines), expected);
  EXPECT_EQ(Read("a.jsonl", lines + "\n"), expected);
  EXPECT_EQ(Read("a.jsonl.zst", Compress(lines)), expected);
  EXPECT_EQ(Read("a.jsonl", ""), Documents{});
}

TEST_F(TextReaderTest, LongStreamsCrossBlocks) {
  std::string lines;
  Documents expected;
  for (int i = 0; i < 30; ++i) {
    expected.push_back(std::to_string(i) + std::string(150001, static_cast<char>('a' + i % 26)));
    lines += "{\"text\":\"" + expected.back() + "\"}\n";
  }
  EXPECT_EQ(Read("a.jsonl", lines), expected);
  EXPECT_EQ(Read("a.jsonl.zst", Compress(lines)), expected);
  EXPECT_EQ(Read("a.txt", lines), Documents{lines});
  // Two frames are one stream.
  EXPECT_EQ(Read("a.txt.zst", Compress(lines) + Compress("tail")), Documents{lines + "tail"});
  // Blocks that end where the buffer does.
  const std::string even(3 << 20, 'x');
  EXPECT_EQ(Read("a.txt.zst", Compress(even)), Documents{even});
}

TEST_F(TextReaderTest, ReportsProgressOfTheStoredFile) {
  const std::string stored = Compress("{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
  std::vector<uint64_t> read;
  ReadDocuments(Write("a.jsonl.zst", stored), [&](std::string_view, TextProgress progress) {
    EXPECT_EQ(progress.bytes_total, stored.size());
    read.push_back(progress.bytes_read);
  });
  EXPECT_EQ(read, (std::vector<uint64_t>{stored.size(), stored.size()}));
}

TEST_F(TextReaderTest, BrokenZstdIsAnError) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + ' ';
  const std::string good = Compress(text);
  for (size_t length = 0; length < good.size(); length += 1 + length / 3) {
    EXPECT_NE(ErrorOf("a.txt.zst", good.substr(0, length)).find("broken zstd stream"),
              std::string::npos)
        << length;
  }
  EXPECT_NE(ErrorOf("a.txt.zst", good.substr(0, good.size() - 1)).find("ends too early"),
            std::string::npos);
  EXPECT_NE(ErrorOf("a.txt.zst", "plain text").find("Unknown frame descriptor"), std::string::npos);
  EXPECT_NE(ErrorOf("a.txt.zst", good + "junk").find("broken zstd stream"), std::string::npos);
}

TEST_F(TextReaderTest, BrokenLinesAreNamed) {
  const std::pair<std::string, std::string> kCases[] = {
      {"{\"text\": \"a\"}\nnot json\n", ".jsonl:2: broken JSON at byte 2"},
      {"\n\n{\"text\": 3}\n", ".jsonl:3: key \"text\": got 3, expected a string"},
      {"{\"body\": \"a\"}", ".jsonl:1: key \"text\": got nothing, expected a string"},
      {"[\"a\"]", ".jsonl:1: unexpected content"},
      {"{\"text\": \"\xff\"}", ".jsonl:1: broken JSON"},
      {std::string(100000, '['), ".jsonl:1: JSON nested too deep"},
  };
  for (const auto& [content, message] : kCases) {
    EXPECT_NE(ErrorOf("a.jsonl", content).find(message), std::string::npos)
        << ErrorOf("a.jsonl", content);
  }
}

TEST_F(TextReaderTest, UnknownEndingsAndMissingFilesAreErrors) {
  for (const char* name : {"a.json", "a", "a.zst", "a.txt.gz", "txt"}) {
    EXPECT_NE(ErrorOf(name, "x").find("unknown kind of text"), std::string::npos) << name;
  }
  EXPECT_THROW(ReadDocuments(folder_ / "missing.txt", [](std::string_view, TextProgress) {}),
               Error);
  fs::create_directories(folder_ / "folder.txt");
  EXPECT_THROW(ReadDocuments(folder_ / "folder.txt", [](std::string_view, TextProgress) {}), Error);
}

}  // namespace
}  // namespace stocha
