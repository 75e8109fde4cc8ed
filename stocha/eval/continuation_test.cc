#include "stocha/eval/continuation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "stocha/engine/random_model.h"
#include "stocha/eval/choice.h"
#include "stocha/eval/last_word.h"

namespace stocha {
namespace {

class ContinuationTest : public testing::Test {
 protected:
  // Each token from a forward pass of its own, softmax in double.
  ContinuationScore Reference(const Continuation& continuation, const Activation& activation,
                              uint64_t seed) {
    ContinuationScore score = {.greedy = true};
    std::vector<float> logits(static_cast<size_t>(random_.config().vocab_size));
    for (size_t i = continuation.first; i < continuation.tokens.size(); ++i) {
      KvCache cache(random_.config(), 100);
      const Step step = {.cache = &cache,
                         .tokens = std::span(continuation.tokens).first(i),
                         .activation = activation,
                         .seed = seed,
                         .logits = logits.data()};
      random_.model().Forward({&step, 1}, workspace_);
      double sum = 0;
      float largest = logits[0];
      for (const float logit : logits) {
        sum += std::exp(double{logit});
        largest = std::max(largest, logit);
      }
      const float target = logits[continuation.tokens[i]];
      score.log_likelihood += target - std::log(sum);
      score.greedy = score.greedy && target == largest;
    }
    return score;
  }

  Continuation Make(int64_t context, int64_t length, uint32_t seed) {
    Continuation continuation = {.tokens = RandomIds(random_.config(), context), .first = context};
    for (const int32_t id : RandomIds(random_.config(), length, seed)) {
      continuation.tokens.push_back(id);
    }
    return continuation;
  }

  RandomModel random_{SmallConfig()};
  ThreadPool pool_{2};
  Workspace workspace_{random_.config(), &pool_, {}};
};

TEST_F(ContinuationTest, SharingAndBatchesDoNotChangeScores) {
  const Activation activation = ParseActivation("stocha:0.5", "test");
  const std::vector<ContinuationGroup> groups = {
      {.continuations = {Make(9, 4, 2), Make(9, 2, 3), Make(9, 4, 2)}, .seed = 5},
      {.continuations = {Make(1, 3, 4)}, .seed = 6},
      {.continuations = {Make(20, 1, 5), Make(3, 2, 6)}, .seed = 7}};
  const auto scores = ScoreContinuations(random_.model(), groups, activation, workspace_);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t i = 0; i < groups[g].continuations.size(); ++i) {
      const ContinuationScore expected =
          Reference(groups[g].continuations[i], activation, groups[g].seed);
      EXPECT_NEAR(scores[g][i].log_likelihood, expected.log_likelihood, 1e-4) << g << ", " << i;
      EXPECT_EQ(scores[g][i].greedy, expected.greedy);
    }
  }
  EXPECT_EQ(scores[0][0].log_likelihood, scores[0][2].log_likelihood);
  EXPECT_EQ(CountTokens(groups[0]), 8 + 4 + 2 + 4);
}

TEST_F(ContinuationTest, GreedyIsWhatTheModelWouldSay) {
  std::vector<float> logits(static_cast<size_t>(random_.config().vocab_size));
  Continuation continuation = Make(6, 0, 1);
  for (int i = 0; i < 3; ++i) {
    KvCache cache(random_.config(), 100);
    const Step step = {.cache = &cache, .tokens = continuation.tokens, .logits = logits.data()};
    random_.model().Forward({&step, 1}, workspace_);
    const auto likeliest = std::ranges::max_element(logits) - logits.begin();
    continuation.tokens.push_back(static_cast<int32_t>(likeliest));
  }
  const std::vector<ContinuationGroup> groups = {{.continuations = {continuation}}};
  EXPECT_TRUE(ScoreContinuations(random_.model(), groups, {}, workspace_)[0][0].greedy);
}

TEST(ChoiceTest, LengthsAreOneCharactersOrBytes) {
  const ChoiceExample example = {.query = "q", .choices = {"x", "ääää", "yyyyyy"}, .gold = 2};
  // By itself the first, by characters the second, by bytes the third.
  const std::vector<double> scores = {-2, -3, -4.6};
  ChoiceResult result = JudgeChoices(example, scores);
  EXPECT_FALSE(result.acc);
  EXPECT_FALSE(result.acc_norm);   // -2, -0.75, -0.767
  EXPECT_FALSE(result.acc_bytes);  // -2, -0.375, -0.767
  const std::vector<double> longer = {-2, -3.2, -4.6};
  result = JudgeChoices(example, longer);
  EXPECT_TRUE(result.acc_norm);    // -2, -0.8, -0.767
  EXPECT_FALSE(result.acc_bytes);  // -2, -0.4, -0.767
  const ChoiceSummary summary = SummarizeChoices(std::vector<ChoiceResult>{result, {}, {}, {}});
  EXPECT_EQ(summary.acc_norm.mean, 0.25);
  EXPECT_NEAR(summary.acc_norm.standard_error, std::sqrt(0.25 * 0.75 / 3), 1e-12);
}

TEST(LastWordTest, PerplexityIsOfWords) {
  const std::vector<ContinuationScore> scores = {{-2, true}, {-4, false}};
  const LastWordSummary summary = SummarizeLastWords(scores);
  EXPECT_EQ(summary.acc.mean, 0.5);
  EXPECT_NEAR(summary.perplexity.mean, std::exp(3.0), 1e-9);
  EXPECT_NEAR(summary.perplexity.standard_error, std::exp(3.0), 1e-9);
}

}  // namespace
}  // namespace stocha
