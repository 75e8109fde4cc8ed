#include "stocha/base/progress.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

namespace stocha {
namespace {

// What was written to `out`, which is closed.
std::string TextOf(std::FILE* out) {
  EXPECT_EQ(std::fseek(out, 0, SEEK_SET), 0);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), out));
  std::fclose(out);
  return text;
}

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
  const std::string text = TextOf(out);
  EXPECT_NE(text.find("train 1/3 33%"), std::string::npos);
  EXPECT_NE(text.find("loss 2\n"), std::string::npos);
  EXPECT_EQ(text.find("too soon"), std::string::npos);
  EXPECT_NE(text.find("saved\n"), std::string::npos);
  EXPECT_NE(text.find("train 3/3 100%"), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(ProgressTest, SkippedTimeIsInNoRate) {
  using Clock = std::chrono::steady_clock;
  std::FILE* out = std::tmpfile();
  Clock::time_point skipped;
  {
    Progress progress({.label = "train", .unit = "s", .total = 2, .out = out});
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    skipped = Clock::now();
    progress.SkipTime();
    progress.Update(2, 1, "");
  }
  const double at_most = std::chrono::duration<double>(Clock::now() - skipped).count();
  const std::string text = TextOf(out);
  double rate = 0;
  char suffix = 0;
  ASSERT_EQ(std::sscanf(text.c_str(), "train 2/2 100%% %lf%c", &rate, &suffix), 2) << text;
  if (suffix == 'k') rate *= 1e3;
  if (suffix == 'M') rate *= 1e6;
  EXPECT_GE(rate, 0.99 / at_most) << text;  // three digits are shown
}

}  // namespace
}  // namespace stocha
