// The promise of engine/model.h: the same bits, however the work is divided.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/engine/model.h"
#include "stocha/engine/random_model.h"
#include "stocha/model/activation.h"

namespace stocha {
namespace {

// How the work is divided.
struct Division {
  Isa isa = SelectedIsa();
  int threads = 1;
  FfnMode mode = FfnMode::kDense;
};

struct Logits {
  std::vector<float> values;  // [tokens, vocab_size]
  std::vector<LayerStats> stats;
};

Activation Parse(const std::string& text) { return ParseActivation(text, "test"); }

// All logits of `ids`, fed `piece` tokens at a time.
Logits LogitsOf(const RandomModel& random, const std::vector<int32_t>& ids,
                const Activation& activation, const Division& division, size_t piece,
                uint64_t seed = 5) {
  const ModelConfig& config = random.config();
  ThreadPool pool(division.threads);
  Workspace workspace(config, &pool, {.ffn_mode = division.mode, .isa = division.isa});
  KvCache cache(config, static_cast<int64_t>(ids.size()));
  Logits logits;
  logits.values.resize(ids.size() * config.vocab_size);
  for (size_t begin = 0; begin < ids.size(); begin += piece) {
    const Step step = {.cache = &cache,
                       .tokens = std::span(ids).subspan(begin, std::min(piece, ids.size() - begin)),
                       .activation = activation,
                       .seed = seed,
                       .wanted = LogitsWanted::kAll,
                       .logits = logits.values.data() + begin * config.vocab_size};
    random.model().Forward({&step, 1}, workspace);
  }
  logits.stats = workspace.stats;
  return logits;
}

constexpr const char* kActivations[] = {"relu",        "relu2",          "silu",
                                        "stocha:0.3",  "stocha:1,token", "stocha:0.5,smooth,layer",
                                        "expected:0.4"};

// Every way in which a call may differ without a difference in the result.
void ExpectSameBits(const RandomModel& random, const std::string& activation, Isa isa) {
  // More than one pass when they come at once.
  const std::vector<int32_t> ids = RandomIds(random.config(), kPassTokens + 3);
  const auto run = [&](FfnMode mode, int threads, size_t piece) {
    const Division division = {.isa = isa, .threads = threads, .mode = mode};
    return LogitsOf(random, ids, Parse(activation), division, piece).values;
  };
  const std::vector<float> expected = run(FfnMode::kDense, 1, ids.size());
  EXPECT_TRUE(std::ranges::all_of(expected, [](float x) { return std::isfinite(x); }));
  const std::string what = activation + ", " + std::string(IsaName(isa));
  EXPECT_EQ(run(FfnMode::kExact, 1, ids.size()), expected) << what << ", sparse";
  EXPECT_EQ(run(FfnMode::kDense, 1, 1), expected) << what << ", a token at a time";
  EXPECT_EQ(run(FfnMode::kExact, 1, 1), expected) << what << ", sparse, a token at a time";
  EXPECT_EQ(run(FfnMode::kExact, 2, 5), expected) << what << ", sparse, 2 threads, 5 at a time";
  EXPECT_EQ(run(FfnMode::kDense, 3, 7), expected) << what << ", 3 threads, 7 at a time";
  EXPECT_EQ(run(FfnMode::kAuto, 7, 20), expected) << what << ", auto, 7 threads, 20 at a time";
}

TEST(EngineTest, EveryActivationGivesTheSameBits) {
  const RandomModel random(SmallConfig());
  for (const char* activation : kActivations) {
    ExpectSameBits(random, activation, SelectedIsa());
  }
}

TEST(EngineTest, EveryIsaGivesTheSameBits) {
  const RandomModel random(SmallConfig());
  for (const Isa isa : AvailableIsas()) ExpectSameBits(random, "relu", isa);
}

TEST(EngineTest, EveryArchitectureGivesTheSameBits) {
  for (const Architecture architecture : {Architecture::kQwen2, Architecture::kQwen3}) {
    const RandomModel random(SmallConfig(architecture));
    ExpectSameBits(random, "stocha:0.3", SelectedIsa());
  }
}

// So many blocks that one thread takes a few of them at a time.
TEST(EngineTest, RunsOfBlocksGiveTheSameBits) {
  ModelConfig config = SmallConfig();
  config.intermediate_size = 33 * kNeuronBlock + 21;
  config.num_hidden_layers = 1;
  const RandomModel random(config);
  const std::vector<int32_t> ids = RandomIds(config, 5);
  const Logits expected = LogitsOf(random, ids, Parse("relu"), {}, ids.size());
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact}) {
    for (const int threads : {1, 2, 3, 8}) {
      const Logits got =
          LogitsOf(random, ids, Parse("relu"), {.threads = threads, .mode = mode}, 1);
      EXPECT_EQ(got.values, expected.values) << threads << " threads";
      EXPECT_EQ(got.stats[0].fired, expected.stats[0].fired) << threads << " threads";
    }
  }
}

TEST(EngineTest, WeightsInBF16AreExactToo) {
  const RandomModel random(SmallConfig(), DType::kBF16);
  const std::vector<int32_t> ids = RandomIds(random.config(), 20);
  for (const Isa isa : AvailableIsas()) {
    const Logits expected = LogitsOf(random, ids, Parse("relu"), {.isa = isa}, ids.size());
    const Logits got = LogitsOf(random, ids, Parse("relu"),
                                {.isa = isa, .threads = 3, .mode = FfnMode::kExact}, 1);
    EXPECT_EQ(got.values, expected.values) << IsaName(isa);
  }
}

// Sixteen sequences of their own lengths, seeds and activations, in one call or one by one.
TEST(EngineTest, ABatchGivesWhatEachStepGivesAlone) {
  const RandomModel random(SmallConfig());
  const ModelConfig& config = random.config();
  constexpr int kBatch = 16;
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact}) {
    ThreadPool pool(2);
    Workspace workspace(config, &pool, {.ffn_mode = mode});
    std::vector<std::vector<int32_t>> ids;
    std::vector<KvCache> caches;
    std::vector<std::vector<float>> logits;
    for (int i = 0; i < kBatch; ++i) {
      ids.push_back(RandomIds(config, 1 + i % 5, 10 + i));
      caches.emplace_back(config, 20);
      logits.emplace_back(config.vocab_size);
    }
    // A prompt, then two tokens each.
    for (int round = 0; round < 3; ++round) {
      std::vector<Step> steps;
      steps.reserve(kBatch);
      for (int i = 0; i < kBatch; ++i) {
        steps.push_back({.cache = &caches[i],
                         .tokens = round == 0 ? std::span<const int32_t>(ids[i])
                                              : std::span<const int32_t>(ids[i]).first(1),
                         .activation = Parse(kActivations[i % std::size(kActivations)]),
                         .seed = static_cast<uint64_t>(i),
                         .logits = logits[i].data()});
      }
      random.model().Forward(steps, workspace);
    }
    for (int i = 0; i < kBatch; ++i) {
      std::vector<int32_t> whole = ids[i];
      whole.insert(whole.end(), 2, ids[i][0]);
      const Logits alone = LogitsOf(random, whole, Parse(kActivations[i % std::size(kActivations)]),
                                    {.mode = FfnMode::kDense}, whole.size(), i);
      EXPECT_TRUE(
          std::equal(logits[i].begin(), logits[i].end(), alone.values.end() - config.vocab_size))
          << "sequence " << i;
      EXPECT_EQ(caches[i].length(), static_cast<int64_t>(whole.size()));
    }
  }
}

TEST(EngineTest, VectorIsasAgreeWithScalar) {
  const RandomModel random(SmallConfig(Architecture::kQwen3));
  const std::vector<int32_t> ids = RandomIds(random.config(), 30);
  const Logits expected = LogitsOf(random, ids, Parse("silu"), {.isa = Isa::kScalar}, ids.size());
  for (const Isa isa : AvailableIsas()) {
    const Logits got = LogitsOf(random, ids, Parse("silu"), {.isa = isa}, ids.size());
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < got.values.size(); ++i) {
      difference += std::pow(double{got.values[i]} - expected.values[i], 2);
      norm += std::pow(double{expected.values[i]}, 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-5) << IsaName(isa);
  }
}

// The seed is the request's: the same again, and others with another one.
TEST(EngineTest, CoinsComeFromTheSeed) {
  const RandomModel random(SmallConfig());
  const std::vector<int32_t> ids = RandomIds(random.config(), 8);
  const Activation activation = Parse("stocha:0.5");
  const auto run = [&](uint64_t seed) {
    return LogitsOf(random, ids, activation, {}, 8, seed).values;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  EXPECT_EQ(LogitsOf(random, ids, Parse("stocha:0"), {}, 8).values,
            LogitsOf(random, ids, Parse("relu"), {}, 8).values);
}

TEST(EngineTest, StatisticsCountWhatFiresAndWhatIsRead) {
  const RandomModel random(SmallConfig());
  const int64_t neurons = random.config().intermediate_size;
  const std::vector<int32_t> ids = RandomIds(random.config(), 8);
  const Logits dense = LogitsOf(random, ids, Parse("relu"), {.mode = FfnMode::kDense}, 1);
  const Logits sparse = LogitsOf(random, ids, Parse("relu"), {.mode = FfnMode::kExact}, 1);
  const Logits together = LogitsOf(random, ids, Parse("relu"), {.mode = FfnMode::kExact}, 8);
  const Logits silu = LogitsOf(random, ids, Parse("silu"), {.mode = FfnMode::kExact}, 1);
  for (size_t layer = 0; layer < dense.stats.size(); ++layer) {
    EXPECT_EQ(dense.stats[layer].tokens, 8);
    EXPECT_EQ(dense.stats[layer].rows_read, 8 * neurons);
    EXPECT_EQ(dense.stats[layer].fired, sparse.stats[layer].fired);
    EXPECT_EQ(sparse.stats[layer].rows_read, sparse.stats[layer].fired);
    // About half of random gates are positive.
    EXPECT_NEAR(sparse.stats[layer].ActiveFraction(neurons), 0.5, 0.1);
    EXPECT_LT(together.stats[layer].rows_read, sparse.stats[layer].rows_read);
    EXPECT_EQ(silu.stats[layer].fired, 8 * neurons);
  }
}

// Not a finite number in the residual stream must not be mistaken for a silent neuron.
TEST(EngineTest, NanComesThroughSparseAndDense) {
  ModelConfig config = SmallConfig();
  RandomModel random(config);
  auto* norm = reinterpret_cast<float*>(const_cast<std::byte*>(
      random.tensor("model.layers.1.post_attention_layernorm.weight").bytes.data()));
  norm[3] = std::nanf("");
  ThreadPool pool(1);
  const Model model(config, random.Source(), "test", pool);
  for (const FfnMode mode : {FfnMode::kDense, FfnMode::kExact}) {
    Workspace workspace(config, &pool, {.ffn_mode = mode});
    KvCache cache(config, 1);
    std::vector<float> logits(config.vocab_size);
    const std::vector<int32_t> ids = {1};
    const Step step = {.cache = &cache, .tokens = ids, .logits = logits.data()};
    model.Forward({&step, 1}, workspace);
    EXPECT_TRUE(std::ranges::all_of(logits, [](float x) { return std::isnan(x); }));
  }
}

TEST(EngineTest, BadStepsAreRefusedWithNothingChanged) {
  const RandomModel random(SmallConfig());
  ThreadPool pool(1);
  Workspace workspace(random.config(), &pool, {});
  KvCache cache(random.config(), 4);
  std::vector<float> logits(random.config().vocab_size);
  const auto refused = [&](const std::vector<int32_t>& ids, bool twice, const char* message) {
    const Step step = {.cache = &cache, .tokens = ids, .logits = logits.data()};
    const std::array<Step, 2> steps = {step, step};
    try {
      random.model().Forward(std::span(steps).first(twice ? 2 : 1), workspace);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
    EXPECT_EQ(cache.length(), 0);
  };
  refused({1, 61}, false, "got 61, expected 0 to 60");
  refused({-1}, false, "got -1");
  refused({}, false, "cannot add 0 tokens");
  refused({1, 2, 3, 4, 5}, false, "at most 4 in all");
  refused({1}, true, "share a cache");
}

}  // namespace
}  // namespace stocha
