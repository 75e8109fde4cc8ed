#include "stocha/eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/engine/random_model.h"

namespace stocha {
namespace {

class PerplexityTest : public testing::Test {
 protected:
  // -ln p(ids[i]) given ids[begin .. i), from a whole forward pass and a softmax in double.
  double Nll(const std::vector<int32_t>& ids, int64_t begin, int64_t i) {
    const auto vocab = static_cast<size_t>(random_.config().vocab_size);
    KvCache cache(random_.config(), 100);
    std::vector<float> logits(vocab);
    const Step step = {.cache = &cache,
                       .tokens = std::span(ids).subspan(begin, i - begin),
                       .logits = logits.data()};
    random_.model().Forward({&step, 1}, workspace_);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit});
    return std::log(sum) - logits[ids[i]];
  }

  RandomModel random_{SmallConfig()};
  ThreadPool pool_{2};
  Workspace workspace_{random_.config(), &pool_, {}};
};

// Which token is scored with how much before it, written out for one small case.
TEST_F(PerplexityTest, EachTokenButTheFirstIsScoredOnceInTheFirstWindowThatHoldsIt) {
  const std::vector<int32_t> ids = RandomIds(random_.config(), 12);
  const PerplexityOptions options = {.context = 5, .stride = 3};
  double expected = 0;
  const int64_t begin_of[] = {-1, 0, 0, 0, 0, 3, 3, 3, 6, 6, 6, 9};
  for (int64_t i = 1; i < 12; ++i) expected += Nll(ids, begin_of[i], i);
  const PerplexityResult result = Perplexity(random_.model(), ids, options, workspace_);
  EXPECT_EQ(result.tokens, 11);
  EXPECT_EQ(result.windows, 4);
  EXPECT_NEAR(result.nll, expected, 1e-5 * expected);
  EXPECT_NEAR(result.Perplexity(), std::exp(expected / 11), 1e-4 * result.Perplexity());
}

TEST_F(PerplexityTest, WindowsThatDoNotOverlapLeaveOutTheirFirstToken) {
  const std::vector<int32_t> ids = RandomIds(random_.config(), 12);
  const PerplexityOptions options = {.context = 5, .stride = 5};
  double expected = 0;
  const int64_t begin_of[] = {-1, 0, 0, 0, 0, -1, 5, 5, 5, 5, -1, 10};
  for (int64_t i = 0; i < 12; ++i) {
    if (begin_of[i] >= 0) expected += Nll(ids, begin_of[i], i);
  }
  const PerplexityResult result = Perplexity(random_.model(), ids, options, workspace_);
  EXPECT_EQ(result.tokens, 9);
  EXPECT_NEAR(result.nll, expected, 1e-5 * expected);
}

TEST_F(PerplexityTest, AShortTextIsOneWindow) {
  const std::vector<int32_t> ids = RandomIds(random_.config(), 2);
  const PerplexityResult result =
      Perplexity(random_.model(), ids, {.context = 100, .stride = 50}, workspace_);
  EXPECT_EQ(result.windows, 1);
  EXPECT_EQ(result.tokens, 1);
  EXPECT_NEAR(result.nll, Nll(ids, 0, 1), 1e-5);
}

TEST_F(PerplexityTest, CountsTheBytesOfScoredTokens) {
  const std::vector<int32_t> ids = {9, 1, 2, 3};
  PerplexityOptions options = {.context = 4, .stride = 2};
  options.token_bytes = [](int32_t id) { return int64_t{id}; };
  const PerplexityResult result = Perplexity(random_.model(), ids, options, workspace_);
  EXPECT_EQ(result.bytes, 1 + 2 + 3);
  EXPECT_NEAR(result.BitsPerByte(), result.nll / std::log(2.0) / 6, 1e-12);
}

TEST_F(PerplexityTest, ThreadsAndModeDoNotMatter) {
  const std::vector<int32_t> ids = RandomIds(random_.config(), 40);
  const PerplexityOptions options = {
      .context = 16, .stride = 7, .activation = ParseActivation("stocha:0.5", "test"), .seed = 3};
  const double expected = Perplexity(random_.model(), ids, options, workspace_).nll;
  ThreadPool pool(3);
  Workspace sparse(random_.config(), &pool, {.ffn_mode = FfnMode::kExact});
  EXPECT_EQ(Perplexity(random_.model(), ids, options, sparse).nll, expected);
}

TEST_F(PerplexityTest, ProgressIsToldOfEveryWindowAndMayStop) {
  const std::vector<int32_t> ids = RandomIds(random_.config(), 30);
  const PerplexityOptions options = {.context = 10, .stride = 5};
  EXPECT_EQ(CountWindows(30, options), 5);
  std::vector<int64_t> seen;
  const PerplexityResult result =
      Perplexity(random_.model(), ids, options, workspace_, [&](const PerplexityResult& so_far) {
        seen.push_back(so_far.tokens);
        return seen.size() < 3;
      });
  EXPECT_EQ(seen, (std::vector<int64_t>{9, 14, 19}));
  EXPECT_EQ(result.tokens, 19);
  // Another run goes on from there to the same end.
  PerplexityOptions rest = options;
  rest.done = result;
  const PerplexityResult resumed = Perplexity(random_.model(), ids, rest, workspace_);
  const PerplexityResult whole = Perplexity(random_.model(), ids, options, workspace_);
  EXPECT_EQ(resumed.nll, whole.nll);
  EXPECT_EQ(resumed.tokens, whole.tokens);
  EXPECT_EQ(resumed.windows, 5);
}

TEST_F(PerplexityTest, RefusesWhatCannotBeScored) {
  const std::vector<int32_t> ids = RandomIds(random_.config(), 10);
  const auto run = [&](std::span<const int32_t> text, int64_t context, int64_t stride) {
    Perplexity(random_.model(), text, {.context = context, .stride = stride}, workspace_);
  };
  EXPECT_THROW(run(ids, 1, 1), UsageError);
  EXPECT_THROW(run(ids, 101, 1), UsageError);
  EXPECT_THROW(run(ids, 10, 0), UsageError);
  EXPECT_THROW(run(ids, 10, 11), UsageError);
  EXPECT_THROW(run(std::span(ids).first(1), 10, 5), Error);
  const std::vector<int32_t> outside = {1, 2, 61, 3};
  EXPECT_THROW(run(outside, 10, 5), Error);
}

}  // namespace
}  // namespace stocha
