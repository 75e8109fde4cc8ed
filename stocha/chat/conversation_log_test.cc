#include "stocha/chat/conversation_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

class ConversationLogTest : public testing::Test {
 protected:
  ConversationLogTest() { std::filesystem::remove(path_); }
  ~ConversationLogTest() override { std::filesystem::remove(path_); }

  static std::string Line(int prompt, const std::string& text) {
    return R"({"text":")" + text + R"(","prompt":)" + std::to_string(prompt) +
           R"(,"stop":"stop_id","settings":"s"})" + "\n";
  }
  void Write(const std::string& text) const { std::ofstream(path_) << text; }

  const std::filesystem::path path_ =
      testing::TempDir() + "conversation_log_" + std::to_string(getpid()) + ".jsonl";
};

TEST_F(ConversationLogTest, LinesComeAsTheyAreAddedAndEndInOrder) {
  ConversationLog log(path_, "s");
  log.Add(2, "c", "stop_id");
  log.Add(0, "a", "stop_id");
  EXPECT_TRUE(log.Has(2));
  EXPECT_FALSE(log.Has(1));
  log.Finish();
  EXPECT_EQ(ReadFile(path_), Line(0, "a") + Line(2, "c"));
}

TEST_F(ConversationLogTest, ARunThatWasCutGoesOn) {
  {
    ConversationLog(path_, "s").Add(1, "b", "stop_id");
  }
  EXPECT_EQ(ReadFile(path_), Line(1, "b"));
  // A kill amid a line; \" is part of it.
  Write(Line(1, "b") + R"({"text":"half of \")");
  ConversationLog log(path_, "s");
  EXPECT_EQ(log.size(), 1);
  EXPECT_TRUE(log.Has(1));
  EXPECT_EQ(ReadFile(path_), Line(1, "b"));
  log.Add(0, "a", "stop_id");
  log.Finish();
  EXPECT_EQ(ReadFile(path_), Line(0, "a") + Line(1, "b"));
}

TEST_F(ConversationLogTest, RefusesWhatIsNotItsOwnAndLeavesItAsItIs) {
  for (const std::string& text :
       {Line(0, "a"), std::string("my notes"), std::string("my\nnotes\n"), std::string("{}\n")}) {
    Write(text);
    EXPECT_THROW(ConversationLog(path_, "others"), Error) << text;
    EXPECT_EQ(ReadFile(path_), text);
  }
}

TEST_F(ConversationLogTest, OnlyOneRunHasAFile) {
  const ConversationLog log(path_, "s");
  EXPECT_THROW(ConversationLog(path_, "s"), Error);
}

}  // namespace
}  // namespace stocha
