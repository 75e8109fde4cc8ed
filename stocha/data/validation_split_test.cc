#include "stocha/data/validation_split.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

// The split of this many documents of one line each, in two files.
ValidationSplit Split(int documents, double fraction) {
  const fs::path folder = fs::path(::testing::TempDir()) / ("split-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const std::vector<fs::path> files = {folder / "a.jsonl", folder / "b.jsonl"};
  std::string halves[2];
  for (int i = 0; i < documents; ++i) halves[i % 2] += "{\"text\": \"x\"}\n";
  for (size_t i = 0; i < 2; ++i) WriteFile(files[i], halves[i]);
  const ValidationSplit split = SplitForValidation(files, fraction, [] {});
  fs::remove_all(folder);
  return split;
}

TEST(ValidationSplit, TakesTheLastDocuments) {
  EXPECT_EQ(Split(10, 0.2).first_document, 8u);
  EXPECT_EQ(Split(10, 0.25).first_document, 7u);  // 2.5, rounded away from 0
  EXPECT_FALSE(Split(10, 0.2).cut_document);
}

TEST(ValidationSplit, LeavesBothSidesADocument) {
  EXPECT_EQ(Split(10, 0.001).first_document, 9u);
  EXPECT_EQ(Split(10, 0.999).first_document, 1u);
  EXPECT_EQ(Split(2, 0.5).first_document, 1u);
}

TEST(ValidationSplit, OneDocumentIsCutAndNoneIsAnError) {
  EXPECT_TRUE(Split(1, 0.1).cut_document);
  EXPECT_THROW(Split(0, 0.1), Error);
}

TEST(CutForValidation, CutsAtALineBreak) {
  const std::string text = "0123\n5678\nabcd\nfghi\n";  // 20 bytes, breaks at 4, 9, 14 and 19
  EXPECT_EQ(CutForValidation(text, 0.5, ""), 15u);      // from byte 10
  EXPECT_EQ(CutForValidation(text, 0.56, ""), 10u);     // from byte 8
  EXPECT_EQ(CutForValidation(text, 0.05, ""), 15u);     // nothing follows the last break
  EXPECT_EQ(CutForValidation(text, 0.999, ""), 5u);
  EXPECT_EQ(CutForValidation("a\nb", 0.1, ""), 2u);
}

TEST(CutForValidation, NeedsALineBreak) {
  EXPECT_THROW(CutForValidation("one line", 0.5, "a.txt"), Error);
  EXPECT_THROW(CutForValidation("one line\n", 0.5, "a.txt"), Error);
}

}  // namespace
}  // namespace stocha
