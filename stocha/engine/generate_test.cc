#include "stocha/engine/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/engine/random_model.h"

namespace stocha {
namespace {

class GenerateTest : public testing::Test {
 protected:
  GenerateResult Run(const std::vector<int32_t>& prompt, const GenerateOptions& options,
                     int threads = 1, FfnMode mode = FfnMode::kAuto,
                     const std::function<bool()>& cancelled = {}) {
    ThreadPool pool(threads);
    Workspace workspace(random_.config(), &pool, {.ffn_mode = mode});
    streamed_.assign(options.num_samples, {});
    return Generate(
        random_.model(), prompt, options, workspace,
        [this](int64_t sample, int32_t id) { streamed_[sample].push_back(id); }, cancelled);
  }

  // What greedy decoding must give, one whole forward pass a token.
  std::vector<int32_t> GreedyByHand(std::vector<int32_t> ids, int64_t count) {
    ThreadPool pool(1);
    Workspace workspace(random_.config(), &pool, {});
    std::vector<float> logits(random_.config().vocab_size);
    std::vector<int32_t> generated;
    for (int64_t i = 0; i < count; ++i) {
      KvCache cache(random_.config(), 100);
      const Step step = {.cache = &cache, .tokens = ids, .logits = logits.data()};
      random_.model().Forward({&step, 1}, workspace);
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      ids.push_back(static_cast<int32_t>(best));
      generated.push_back(static_cast<int32_t>(best));
    }
    return generated;
  }

  RandomModel random_{SmallConfig()};
  std::vector<std::vector<int32_t>> streamed_;
};

constexpr GenerateOptions kSampling = {
    .max_tokens = 12, .num_samples = 3, .seed = 40, .sampler = {.temperature = 1, .top_k = 20}};

TEST_F(GenerateTest, GreedyIsTheLikeliestTokenEachTime) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 5);
  const GenerateResult result = Run(prompt, {.max_tokens = 9});
  EXPECT_EQ(result.samples[0].ids, GreedyByHand(prompt, 9));
  EXPECT_EQ(result.samples[0].stop, StopReason::kMaxTokens);
  EXPECT_EQ(streamed_[0], result.samples[0].ids);
  EXPECT_EQ(result.prefill.tokens, 5);
  EXPECT_EQ(result.decode.tokens, 8);  // the last token is not fed
  EXPECT_EQ(result.prefill.layers[1].tokens, 5);
  EXPECT_EQ(result.decode.layers[1].tokens, 8);
}

TEST_F(GenerateTest, ThreadsAndModeDoNotMatter) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 5);
  GenerateOptions options = kSampling;
  options.activation = ParseActivation("stocha:0.5", "test");
  const auto ids = [&](int threads, FfnMode mode) {
    std::vector<std::vector<int32_t>> all;
    for (const Sample& sample : Run(prompt, options, threads, mode).samples) {
      all.push_back(sample.ids);
    }
    return all;
  };
  const auto expected = ids(1, FfnMode::kDense);
  EXPECT_EQ(ids(3, FfnMode::kExact), expected);
  EXPECT_EQ(ids(2, FfnMode::kAuto), expected);
}

// Sample i of seed s is sample 0 of seed s + i, with and without draws in the prompt.
TEST_F(GenerateTest, ASampleDependsOnItsSeedAlone) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 5);
  for (const char* prompt_activation : {"relu", "stocha:0.5"}) {
    GenerateOptions options = kSampling;
    options.activation = ParseActivation("stocha:0.5", "test");
    options.prompt_activation = ParseActivation(prompt_activation, "test");
    const GenerateResult together = Run(prompt, options);
    const bool draws = options.prompt_activation.kind == ActivationKind::kStochastic;
    EXPECT_EQ(together.prefill.tokens, draws ? 15 : 5);
    EXPECT_NE(together.samples[0].ids, together.samples[1].ids);
    for (int i = 0; i < 3; ++i) {
      GenerateOptions alone = options;
      alone.num_samples = 1;
      alone.seed = options.seed + i;
      EXPECT_EQ(Run(prompt, alone).samples[0].ids, together.samples[i].ids) << prompt_activation;
    }
  }
}

// Greedy, so that nothing but coins tells the samples apart.
TEST_F(GenerateTest, DrawsOfTheActivationAloneMakeSamplesDiffer) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 5);
  GenerateOptions options = {.max_tokens = 12, .num_samples = 2};
  EXPECT_EQ(Run(prompt, options).samples[0].ids, Run(prompt, options).samples[1].ids);
  options.activation = ParseActivation("stocha:0.5", "test");
  const GenerateResult result = Run(prompt, options);
  EXPECT_EQ(result.samples[0].ids[0], result.samples[1].ids[0]);  // of the prompt alone
  EXPECT_NE(result.samples[0].ids, result.samples[1].ids);
}

TEST_F(GenerateTest, StopsAtAStopIdWhichIsNotPartOfTheSample) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 5);
  const std::vector<int32_t> ids = GreedyByHand(prompt, 9);
  const int32_t stop = ids[4];
  const auto before = std::find(ids.begin(), ids.end(), stop);
  const GenerateResult result = Run(prompt, {.max_tokens = 9, .stop_ids = {1000, stop}});
  EXPECT_EQ(result.samples[0].stop, StopReason::kStopId);
  EXPECT_EQ(result.samples[0].ids, std::vector<int32_t>(ids.begin(), before));
  EXPECT_EQ(streamed_[0], result.samples[0].ids);
}

TEST_F(GenerateTest, StopsWhenTheContextIsFull) {
  const GenerateResult result = Run(RandomIds(random_.config(), 97), {.max_tokens = 50});
  EXPECT_EQ(result.samples[0].stop, StopReason::kContextFull);
  EXPECT_EQ(result.samples[0].ids.size(), 4U);  // three that are fed, and one more
  const GenerateResult full = Run(RandomIds(random_.config(), 100), {.max_tokens = 50});
  EXPECT_EQ(full.samples[0].ids.size(), 1U);
}

TEST_F(GenerateTest, CancellingEndsWithWhatThereIs) {
  const std::vector<int32_t> prompt = RandomIds(random_.config(), 5);
  const GenerateResult result = Run(prompt, {.max_tokens = 50}, 1, FfnMode::kAuto,
                                    [this] { return streamed_[0].size() == 3; });
  EXPECT_EQ(result.samples[0].stop, StopReason::kCancelled);
  EXPECT_EQ(result.samples[0].ids.size(), 3U);
  const GenerateResult at_once =
      Run(prompt, {.max_tokens = 50}, 1, FfnMode::kAuto, [] { return true; });
  EXPECT_TRUE(at_once.samples[0].ids.empty());
}

TEST_F(GenerateTest, RefusesWhatCannotBeGenerated) {
  const auto message = [this](const std::vector<int32_t>& prompt, const GenerateOptions& options) {
    try {
      Run(prompt, options);
    } catch (const UsageError& error) {
      return "usage: " + std::string(error.what());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message({}, {}), "prompt: empty: got 0 tokens, expected 1 to 100");
  EXPECT_EQ(message(std::vector<int32_t>(101, 1), {}),
            "prompt: longer than the model's context: got 101 tokens, expected 1 to 100");
  EXPECT_EQ(message({61}, {}), "tokens: id outside the vocabulary: got 61, expected 0 to 60");
  EXPECT_EQ(message({1}, {.max_tokens = 0}),
            "usage: max-tokens: value out of range: got 0, expected 1 or more");
  EXPECT_EQ(message({1}, {.num_samples = 0}).find("usage: num-samples"), 0U);
  EXPECT_EQ(message({1}, {.sampler = {.top_p = 2}}).find("usage: top-p"), 0U);
}

}  // namespace
}  // namespace stocha
