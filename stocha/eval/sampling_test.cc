#include "stocha/eval/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/engine/generate.h"
#include "stocha/engine/random_model.h"
#include "stocha/eval/question.h"

namespace stocha {
namespace {

using Samples = std::vector<std::vector<int32_t>>;

class SamplingTest : public testing::Test {
 protected:
  std::map<int64_t, Samples> Run(const std::vector<SamplePrompt>& prompts,
                                 const SamplingOptions& options) {
    std::map<int64_t, Samples> all;
    SampleAll(random_.model(), prompts, options, workspace_,
              [&](int64_t prompt, const Samples& samples) {
                EXPECT_TRUE(all.try_emplace(prompt, samples).second);
                return true;
              });
    return all;
  }

  // Every sample is what Generate says for its prompt and seed.
  void ExpectAsGenerated(const std::vector<SamplePrompt>& prompts, const SamplingOptions& options) {
    const auto all = Run(prompts, options);
    ASSERT_EQ(all.size(), prompts.size());
    for (const auto& [prompt, samples] : all) {
      GenerateOptions generate = {.max_tokens = options.max_tokens,
                                  .num_samples = options.samples,
                                  .seed = prompts[prompt].seed,
                                  .sampler = options.sampler,
                                  .activation = options.activation,
                                  .prompt_activation = options.prompt_activation};
      const GenerateResult expected =
          Generate(random_.model(), prompts[prompt].ids, generate, workspace_, {});
      for (size_t i = 0; i < samples.size(); ++i) {
        std::vector<int32_t> ids = expected.samples[i].ids;
        const auto stop = std::ranges::find_if(ids, [&](int32_t id) { return options.stops[id]; });
        if (stop != ids.end()) ids.erase(stop + 1, ids.end());
        EXPECT_EQ(samples[i], ids) << prompt << ", " << i;
      }
    }
  }

  std::vector<SamplePrompt> Prompts() {
    std::vector<SamplePrompt> prompts;
    for (uint32_t i = 0; i < 11; ++i) {
      // The same beginning, then something else; one is the beginning alone.
      std::vector<int32_t> ids = RandomIds(random_.config(), 7);
      if (i != 4) {
        for (const int32_t id : RandomIds(random_.config(), 1 + i % 5, i)) ids.push_back(id);
      }
      prompts.push_back({.ids = ids, .seed = uint64_t{i} << 32});
    }
    return prompts;
  }

  SamplingOptions Options(int64_t samples) {
    SamplingOptions options = {.samples = samples, .max_tokens = 9};
    options.stops.assign(static_cast<size_t>(random_.config().vocab_size), false);
    for (int id = 0; id < 10; ++id) options.stops[id] = true;
    options.sampler.temperature = 1.5;
    return options;
  }

  RandomModel random_{SmallConfig()};
  ThreadPool pool_{2};
  Workspace workspace_{random_.config(), &pool_, {}};
};

TEST_F(SamplingTest, SamplesAreThoseOfGenerate) {
  for (const int64_t samples : {1, 3, 20}) ExpectAsGenerated(Prompts(), Options(samples));
}

TEST_F(SamplingTest, DrawsOfGeneratedTokensLeaveThePromptShared) {
  SamplingOptions options = Options(3);
  options.activation = ParseActivation("stocha:0.5", "test");
  ExpectAsGenerated(Prompts(), options);
}

TEST_F(SamplingTest, WhereThePromptDrawsEverySampleReadsItsOwn) {
  SamplingOptions options = Options(3);
  options.sampler.temperature = 0;
  options.activation = ParseActivation("stocha:0.5", "test");
  options.prompt_activation = options.activation;
  ExpectAsGenerated(Prompts(), options);
}

TEST_F(SamplingTest, PromptsOfOneTokenAndNone) {
  ExpectAsGenerated({{.ids = {3}, .seed = 1}, {.ids = {3}, .seed = 2}}, Options(2));
  EXPECT_TRUE(Run({}, Options(2)).empty());
}

TEST_F(SamplingTest, StopsWhenToldAndRefusesWhatDoesNotFit) {
  int calls = 0;
  SampleAll(random_.model(), Prompts(), Options(1), workspace_, [&](int64_t, const Samples&) {
    ++calls;
    return false;
  });
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(Run({{.ids = {}}}, Options(1)), Error);
  EXPECT_THROW(Run({{.ids = RandomIds(random_.config(), 92)}}, Options(1)), Error);
}

TEST(QuestionTest, PromptsShowTheFirstExamples) {
  const std::vector<QuestionExample> shots = {{.context = "Q: a?\nA: ", .answers = {"b", "c"}}};
  EXPECT_EQ(QuestionPrompt(shots, {.context = "Q: d?\nA:", .answers = {"e"}}),
            "Q: a?\nA: b\n\nQ: d?\nA:");
}

TEST(QuestionTest, PromptsDrawOnRequestAlone) {
  const auto of = [](const char* activation, const char* checkpoint, bool draw) {
    return ToString(
        PromptActivation(ParseActivation(activation, "a"), ParseActivation(checkpoint, "c"), draw));
  };
  EXPECT_EQ(of("stocha:0.5", "relu", false), "relu");
  EXPECT_EQ(of("stocha:0.5", "relu", true), "stocha:0.5");
  EXPECT_EQ(of("stocha:0.5", "stocha:0.25", false), "expected:0.25");
  EXPECT_EQ(of("silu", "relu", false), "silu");
}

TEST(QuestionTest, SummarizesBestAndMajority) {
  const std::vector<QuestionExample> questions = {{.context = "q", .answers = {"Rome"}}};
  const std::vector<std::vector<std::string>> samples = {{"Bonn", "Bonn", "the rome", "Paris"}};
  const std::vector<int64_t> counts = {1, 2, 4};
  const QuestionSummary summary = SummarizeQuestions(questions, samples, counts);
  EXPECT_DOUBLE_EQ(summary.best_of[0].exact_match.mean, 0.25);
  EXPECT_DOUBLE_EQ(summary.best_of[1].exact_match.mean, 0.5);
  EXPECT_DOUBLE_EQ(summary.best_of[2].exact_match.mean, 1);
  EXPECT_EQ(summary.best_of[2].majority_exact_match.mean, 0);
  ASSERT_TRUE(summary.diversity.has_value());
  EXPECT_EQ(summary.diversity->unique, 0.75);
}

}  // namespace
}  // namespace stocha
