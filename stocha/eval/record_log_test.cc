#include "stocha/eval/record_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

class RecordLogTest : public testing::Test {
 protected:
  RecordLogTest() { std::filesystem::remove(path_); }
  ~RecordLogTest() override { std::filesystem::remove(path_); }

  void Append(const std::string& text) const { std::ofstream(path_, std::ios::app) << text; }

  const std::filesystem::path path_ =
      testing::TempDir() + "record_log_" + std::to_string(getpid()) + ".jsonl";
  const nlohmann::ordered_json header_ = {{"stocha_eval", 1}, {"seed", 3}};
};

TEST_F(RecordLogTest, HoldsWhatAnEarlierRunAddedToTheLastDigit) {
  {
    RecordLog log(path_, header_);
    EXPECT_EQ(log.Find(0, 7), nullptr);
    log.Add(0, 7, {{"nll", 0.1 + 0.2}});
    log.Add(1, 7, {{"nll", 5}});
  }
  RecordLog log(path_, header_);
  ASSERT_NE(log.Find(0, 7), nullptr);
  EXPECT_EQ((*log.Find(0, 7))["nll"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ((*log.Find(1, 7))["nll"].get<double>(), 5);
  EXPECT_EQ(log.Find(0, 8), nullptr);
}

TEST_F(RecordLogTest, ALineCutShortIsDropped) {
  {
    RecordLog(path_, header_).Add(0, 1, {{"x", 1}});
  }
  const std::string whole = ReadFile(path_);
  Append(R"({"task": 0, "example": 2, "resu)");
  {
    RecordLog(path_, header_).Add(0, 3, {{"x", 3}});
  }
  EXPECT_TRUE(ReadFile(path_).starts_with(whole + "{\"task\":0,\"example\":3"));
  // So is a first line.
  std::filesystem::resize_file(path_, 5);
  {
    const RecordLog log(path_, header_);
  }
  EXPECT_EQ(ReadFile(path_), header_.dump() + "\n");
}

TEST_F(RecordLogTest, RefusesWhatIsNotItsOwnAndLeavesItAsItIs) {
  for (const std::string text : {"a text of somebody's", "{\"stocha_eval\": 1, \"seed\": 4}\n",
                                 "{\"stocha_eval\":1,\"seed\":3}\nbroken\n"}) {
    std::filesystem::remove(path_);
    Append(text);
    EXPECT_THROW(RecordLog(path_, header_), Error) << text;
    EXPECT_EQ(ReadFile(path_), text);
  }
}

TEST_F(RecordLogTest, TwoRunsCannotShareAFile) {
  const RecordLog log(path_, header_);
  EXPECT_THROW(RecordLog(path_, header_), Error);
}

TEST_F(RecordLogTest, WithoutAFileItRemembersAllTheSame) {
  RecordLog log;
  log.Add(0, 0, {{"x", 1}});
  EXPECT_NE(log.Find(0, 0), nullptr);
}

}  // namespace
}  // namespace stocha
