#include "stocha/experiment/child_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/experiment/last_lines.h"

namespace stocha {
namespace {

constexpr double kLong = 60;  // seconds

class ChildProcessTest : public testing::Test {
 protected:
  ~ChildProcessTest() override {
    std::error_code ignored;
    std::filesystem::remove(log_, ignored);
  }

  std::filesystem::path log_ =
      std::filesystem::path(testing::TempDir()) / ("stocha_child_" + std::to_string(getpid()));
};

TEST_F(ChildProcessTest, WhatItPrintsGoesToTheLogAndItsStatusComesBack) {
  ChildProcess child({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, log_);
  EXPECT_EQ(child.Wait(kLong), 3);
  EXPECT_EQ(ReadFile(log_), "out\nerr\n");
}

TEST_F(ChildProcessTest, TheLogIsAppendedTo) {
  WriteFile(log_, "before\n");
  ChildProcess child({"/bin/echo", "after"}, log_);
  EXPECT_EQ(child.Wait(kLong), 0);
  EXPECT_EQ(ReadFile(log_), "before\nafter\n");
}

TEST_F(ChildProcessTest, RunsUntilItIsAskedToStop) {
  ChildProcess child({"/bin/sleep", "60"}, log_);
  EXPECT_EQ(child.Wait(0), std::nullopt);
  child.AskToStop();
  EXPECT_EQ(child.Wait(kLong), 128 + SIGTERM);
}

TEST_F(ChildProcessTest, WaitsForTheEndOrAsksToStop) {
  ChildProcess::Ending ending = ChildProcess({"/bin/sh", "-c", "exit 3"}, log_).WaitOrStop({});
  EXPECT_EQ(ending.exit_code, 3);
  EXPECT_FALSE(ending.stopped);
  ending = ChildProcess({"/bin/sleep", "60"}, log_).WaitOrStop([] { return true; });
  EXPECT_EQ(ending.exit_code, 128 + SIGTERM);
  EXPECT_TRUE(ending.stopped);
}

TEST_F(ChildProcessTest, AProgramThatIsMissingIsAnError) {
  EXPECT_THROW(ChildProcess({"/no/such/program"}, log_), Error);
}

TEST_F(ChildProcessTest, LastLineIsTheLastThatIsNotEmpty) {
  EXPECT_EQ(LastLine(log_), "");
  WriteFile(log_, "first\nsecond\n\n");
  EXPECT_EQ(LastLine(log_), "second");
}

TEST_F(ChildProcessTest, LastStepIsTheLastWholeOne) {
  EXPECT_FALSE(LastStep(log_).has_value());
  WriteFile(log_,
            "{\"type\":\"step\",\"step\":6,\"loss\":2.5}\n"
            "{\"type\":\"validation\",\"step\":7,\"loss\":9}\n"
            "{\"type\":\"step\",\"step\":7,\"lo");
  ASSERT_TRUE(LastStep(log_).has_value());
  EXPECT_EQ(LastStep(log_)->step, 6);
  EXPECT_EQ(LastStep(log_)->loss, 2.5);
}

TEST_F(ChildProcessTest, LastStepIsFoundBehindMoreThanItReads) {
  std::string text;
  for (int step = 0; step < 2000; ++step) {
    text += "{\"type\":\"step\",\"step\":" + std::to_string(step) + ",\"loss\":1}\n";
  }
  WriteFile(log_, text);
  EXPECT_EQ(LastStep(log_)->step, 1999);
}

}  // namespace
}  // namespace stocha
