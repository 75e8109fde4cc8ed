#include "stocha/base/progress.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

TEST(ProgressTest, FormatsDurations) {
  EXPECT_EQ(FormatDuration(0.4), "0s");
  EXPECT_EQ(FormatDuration(59.6), "1m 00s");
  EXPECT_EQ(FormatDuration(3725), "1h 02m");
}

TEST(ProgressTest, FormatsCountsInThreeDigits) {
  EXPECT_EQ(FormatCount(12), "12");
  EXPECT_EQ(FormatCount(1234), "1.23k");
  EXPECT_EQ(FormatCount(999600), "1M");
  EXPECT_EQ(FormatCount(45.6e6), "45.6M");
}

TEST(ProgressTest, PrintsPlainLinesToAFile) {
  std::FILE* out = std::tmpfile();
  {
    Progress progress({.label = "train", .unit = "tok", .total = 3, .out = out});
    progress.Update(1, 10, "loss 2");
    progress.Update(2, 20, "too soon after the first");
    progress.Print("saved");
    progress.Update(3, 30, "loss 1");
  }
  ASSERT_EQ(std::fseek(out, 0, SEEK_SET), 0);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), out));
  std::fclose(out);
  EXPECT_NE(text.find("train 1/3 33%"), std::string::npos);
  EXPECT_NE(text.find("loss 2\n"), std::string::npos);
  EXPECT_EQ(text.find("too soon"), std::string::npos);
  EXPECT_NE(text.find("saved\n"), std::string::npos);
  EXPECT_NE(text.find("train 3/3 100%"), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace stocha
