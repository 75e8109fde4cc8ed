// Expected values are those of lm_eval's normalize_squad and squad_f1_agg (SQuAD's own code).
#include "stocha/eval/answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace stocha {
namespace {

TEST(AnswerTest, NormalizesAsSquadDoes) {
  EXPECT_EQ(NormalizeAnswer("The  Beatles!"), "beatles");
  EXPECT_EQ(NormalizeAnswer("A man, a plan: the-canal"), "man plan thecanal");
  EXPECT_EQ(NormalizeAnswer("ÉCOLE d'Été"), "école dété");
  EXPECT_EQ(NormalizeAnswer("an_a the\u00a0end"), "ana end");
  EXPECT_EQ(NormalizeAnswer("Straße\u2003ΑΒ"), "straße αβ");
  EXPECT_EQ(NormalizeAnswer("a\u0301 the\x1cx"), "\u0301 x");
  EXPECT_EQ(NormalizeAnswer("THE"), "");
  EXPECT_EQ(NormalizeAnswer("it's (a) 'test'"), "its test");
  EXPECT_EQ(NormalizeAnswer("Ǆ ſ the9"), "ǆ ſ the9");
  EXPECT_EQ(NormalizeAnswer("\xff"), "\uFFFD");
}

TEST(AnswerTest, TheBestOfTheAnswersCounts) {
  const std::vector<std::string> answers = {"green", "the blue blue cat"};
  AnswerScore score = ScoreAnswer("red blue blue", answers);
  EXPECT_FALSE(score.exact);
  EXPECT_DOUBLE_EQ(score.f1, 2.0 / 3);
  score = ScoreAnswer("Green.", answers);
  EXPECT_TRUE(score.exact);
  EXPECT_EQ(score.f1, 1);
  score = ScoreAnswer("", answers);
  EXPECT_FALSE(score.exact);
  EXPECT_EQ(score.f1, 0);
}

TEST(AnswerTest, TheMajorityIsOfNormalizedAnswersAndTheEarliestOfEquals) {
  const std::vector<std::string> samples = {"Rome", "Paris", "the paris!", "rome.", "Bonn"};
  EXPECT_EQ(MajorityAnswer(samples), 0U);
  EXPECT_EQ(MajorityAnswer(std::span(samples).first(3)), 1U);
  EXPECT_EQ(MajorityAnswer(std::span(samples).last(1)), 0U);
}

TEST(AnswerTest, ExpectedBestIsTheMeanOverAllWaysToTakeK) {
  const std::vector<double> values = {0.25, 1, 0, 0, 0.5, 0.25};
  for (int64_t k = 1; k <= 6; ++k) {
    double sum = 0;
    int ways = 0;
    for (unsigned taken = 0; taken < 64; ++taken) {
      if (__builtin_popcount(taken) != k) continue;
      double best = 0;
      for (unsigned i = 0; i < 6; ++i) best = std::max(best, (taken >> i & 1) * values[i]);
      sum += best;
      ++ways;
    }
    EXPECT_NEAR(ExpectedBest(values, k), sum / ways, 1e-12) << k;
  }
}

}  // namespace
}  // namespace stocha
