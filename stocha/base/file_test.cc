#include "stocha/base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

// A folder of this test's own, removed at the end.
class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("file_test-") + info->name() + "-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Everything in the folder, so that a leftover temporary shows.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  fs::path folder_;
};

std::string MessageOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(FileTest, MapsWhatWasWritten) {
  WriteFile(folder_ / "a", "hello");
  const MappedFile file = MappedFile::Open(folder_ / "a");
  ASSERT_EQ(file.bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(file.bytes()[4]), 'o');
  EXPECT_EQ(ReadFile(folder_ / "a"), "hello");
}

TEST_F(FileTest, WritesPiecesOfAnySizeAndOverwritesBetweenThem) {
  std::string expected;
  AtomicFile file(folder_ / "a");
  for (const size_t size : {1, 3 << 20, 0, 2 << 20, (2 << 20) - 1, 70}) {  // a huge page is 2 << 20
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    file.Write(piece);
    expected += piece;
    const size_t at = expected.size() / 2;
    file.WriteAt(at, std::as_bytes(std::span("x", 1)));
    expected[at] = 'x';
  }
  file.Commit();
  EXPECT_TRUE(ReadFile(folder_ / "a") == expected);
}

TEST_F(FileTest, MapsAnEmptyFileToNothing) {
  WriteFile(folder_ / "a", "");
  EXPECT_TRUE(MappedFile::Open(folder_ / "a").bytes().empty());
}

TEST_F(FileTest, SaysWhatIsWrongWithAnInput) {
  EXPECT_NE(MessageOf([&] { MappedFile::Open(folder_ / "none"); }).find("No such file"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { ReadFile(folder_); }).find("got a folder"), std::string::npos);
  WriteFile(folder_ / "a", "12345");
  EXPECT_NE(MessageOf([&] { ReadFile(folder_ / "a", 4); }).find("got 5 bytes, expected at most 4"),
            std::string::npos);
}

TEST_F(FileTest, AnUncommittedFileLeavesTheOldOne) {
  WriteFile(folder_ / "a", "old");
  {
    AtomicFile file(folder_ / "a");
    file.Write("new");
  }
  EXPECT_EQ(ReadFile(folder_ / "a"), "old");
  EXPECT_EQ(Names(), std::vector<std::string>{"a"});
}

TEST_F(FileTest, WriteAtFillsAHeaderInLater) {
  AtomicFile file(folder_ / "a");
  file.Write("....data");
  file.WriteAt(0, std::as_bytes(std::span("head", 4)));
  file.Commit();
  EXPECT_EQ(ReadFile(folder_ / "a"), "headdata");
}

TEST_F(FileTest, AFileIsNoFolderToWriteIn) {
  WriteFile(folder_ / "a", "x");
  EXPECT_NE(MessageOf([&] { WriteFile(folder_ / "a" / "b", "y"); }).find("Not a directory"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { MakeDirectories(folder_ / "a" / "b"); }).find("cannot create"),
            std::string::npos);
}

TEST_F(FileTest, AFolderIsNoFileToWrite) {
  EXPECT_NE(MessageOf([&] { AtomicFile file(folder_); }).find("Is a directory"), std::string::npos);
}

TEST_F(FileTest, ADirectoryIsReplacedWholeOrNotAtAll) {
  const fs::path target = folder_ / "model";
  fs::create_directories(target);
  WriteFile(target / "old", "1");
  {
    AtomicDirectory directory(target);
    WriteFile(directory.temporary() / "new", "2");
  }
  EXPECT_TRUE(fs::exists(target / "old"));
  EXPECT_EQ(Names(), std::vector<std::string>{"model"});

  AtomicDirectory directory(target / "");  // a trailing slash changes nothing
  WriteFile(directory.temporary() / "new", "2");
  directory.Commit();
  EXPECT_FALSE(fs::exists(target / "old"));
  EXPECT_EQ(ReadFile(target / "new"), "2");
  EXPECT_EQ(Names(), std::vector<std::string>{"model"});
}

}  // namespace
}  // namespace stocha
