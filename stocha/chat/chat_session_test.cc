#include "stocha/chat/chat_session.h"

#include <gtest/gtest.h>

#include <vector>

#include "stocha/base/error.h"
#include "stocha/engine/random_model.h"

namespace stocha {
namespace {

class ChatSessionTest : public testing::Test {
 protected:
  Answer Ask(const std::vector<int32_t>& prompt, const GenerateOptions& options,
             const std::function<bool()>& cancelled = {}) {
    return session_.Run(prompt, options, {}, cancelled);
  }
  std::vector<int32_t> Generated(const std::vector<int32_t>& prompt,
                                 const GenerateOptions& options) {
    Workspace workspace(random_.config(), &pool_, {});
    return Generate(random_.model(), prompt, options, workspace, {}).samples[0].ids;
  }

  RandomModel random_{SmallConfig()};
  ThreadPool pool_{1};
  Workspace workspace_{random_.config(), &pool_, {}};
  ChatSession session_{random_.model(), workspace_, 60};
};

TEST_F(ChatSessionTest, AnswersAsGenerateDoes) {
  const GenerateOptions options = {.max_tokens = 9, .seed = 3, .sampler = {.temperature = 1}};
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 7);
  const Answer answer = Ask(prompt, options);
  EXPECT_EQ(answer.ids, Generated(prompt, options));
  EXPECT_EQ(answer.stop, StopReason::kMaxTokens);
  EXPECT_EQ(answer.prompt_tokens, 7);
  EXPECT_EQ(answer.prefill.tokens, 7);
  EXPECT_EQ(answer.decode.tokens, 8);
}

TEST_F(ChatSessionTest, OnlyWhatIsNewIsComputed) {
  const GenerateOptions options = {.max_tokens = 5};
  std::vector<int32_t> prompt = RandomIds(random_.config(), 7);
  const std::vector<int32_t> said = Ask(prompt, options).ids;
  prompt.insert(prompt.end(), said.begin(), said.end());
  prompt.insert(prompt.end(), {1, 2, 3});
  const Answer answer = Ask(prompt, options);
  // The last token of the first answer had not gone through the model.
  EXPECT_EQ(answer.kept_tokens, 11);
  EXPECT_EQ(answer.prefill.tokens, 4);
  EXPECT_EQ(answer.ids, Generated(prompt, options));
}

TEST_F(ChatSessionTest, AnotherBeginningIsComputedAnew) {
  const GenerateOptions options = {.max_tokens = 5};
  std::vector<int32_t> prompt = RandomIds(random_.config(), 7);
  Ask(prompt, options);
  prompt[3] = (prompt[3] + 1) % 61;
  const Answer answer = Ask(prompt, options);
  EXPECT_EQ(answer.kept_tokens, 3);
  EXPECT_EQ(answer.ids, Generated(prompt, options));
  // The same again: the last token must go through the model for its logits.
  const Answer again = Ask(prompt, options);
  EXPECT_EQ(again.kept_tokens, 6);
  EXPECT_EQ(again.ids, answer.ids);
}

TEST_F(ChatSessionTest, StopsAtIdsAndAtTheEndOfTheContext) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 50);
  const Answer full = Ask(prompt, {.max_tokens = 99});
  EXPECT_EQ(full.stop, StopReason::kContextFull);
  EXPECT_EQ(full.ids.size(), 11);  // the last one needs no place
  const Answer stopped = Ask(prompt, {.max_tokens = 99, .stop_ids = {full.ids[4]}});
  EXPECT_EQ(stopped.stop, StopReason::kStopId);
  EXPECT_LE(stopped.ids.size(), 4);
  EXPECT_THROW(Ask(RandomIds(random_.config(), 60), {}), Error);
  EXPECT_THROW(Ask({}, {}), Error);
}

TEST_F(ChatSessionTest, GoesOnAfterBeingCancelled) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 20);
  const GenerateOptions options = {.max_tokens = 8};
  EXPECT_TRUE(Ask(prompt, options, [] { return true; }).ids.empty());
  int asked = 0;
  const Answer cut = Ask(prompt, options, [&asked] { return ++asked > 4; });
  EXPECT_EQ(cut.stop, StopReason::kCancelled);
  EXPECT_LT(cut.ids.size(), 8);
  EXPECT_EQ(Ask(prompt, options).ids, Generated(prompt, options));
}

}  // namespace
}  // namespace stocha
