// Expected values are those of sacrebleu.sentence_bleu and nltk.edit_distance.
#include "stocha/eval/diversity.h"

#include <gtest/gtest.h>

#include <vector>

namespace stocha {
namespace {

TEST(DiversityTest, AgreesWithSacrebleuAndNltk) {
  const std::vector<std::string> samples = {
      "the cat sat on the mat", "the cat sat on a red mat today", "a dog", "the the the cat", ""};
  const Diversity diversity = MeasureDiversity(samples);
  EXPECT_NEAR(diversity.self_bleu, 0.3596995314822935, 1e-12);
  EXPECT_NEAR(diversity.edit_distance, 0.8118181818181818, 1e-12);
  EXPECT_DOUBLE_EQ(diversity.distinct[0], 9.0 / 20);
  EXPECT_DOUBLE_EQ(diversity.distinct[1], 11.0 / 16);
  EXPECT_DOUBLE_EQ(diversity.distinct[2], 10.0 / 12);
  EXPECT_DOUBLE_EQ(diversity.unique, 1);
}

TEST(DiversityTest, EqualSamplesHaveNone) {
  const std::vector<std::string> samples = {"one two three four", "one two three four"};
  const Diversity diversity = MeasureDiversity(samples);
  EXPECT_NEAR(diversity.self_bleu, 1, 1e-12);
  EXPECT_EQ(diversity.edit_distance, 0);
  EXPECT_EQ(diversity.unique, 0.5);
  EXPECT_EQ(diversity.distinct[0], 0.5);
}

TEST(DiversityTest, PromptsCountAlike) {
  const std::vector<Diversity> prompts = {{.self_bleu = 1, .unique = 0.25}, {.unique = 0.75}};
  EXPECT_EQ(MeanDiversity(prompts).self_bleu, 0.5);
  EXPECT_EQ(MeanDiversity(prompts).unique, 0.5);
}

}  // namespace
}  // namespace stocha
