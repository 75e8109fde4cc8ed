#include "stocha/bench/synthetic.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/bench/shape.h"
#include "stocha/bench/synthetic_file.h"
#include "stocha/bench/thresholds.h"

namespace stocha {
namespace {

constexpr const char* kShape = "256,512,2,4,2,300";

std::vector<float> Logits(const Model& model, const std::vector<int32_t>& ids, ThreadPool& pool,
                          std::vector<LayerStats>* stats = nullptr) {
  Workspace workspace(model.config(), &pool, {});
  KvCache cache(model.config(), static_cast<int64_t>(ids.size()));
  std::vector<float> logits(static_cast<size_t>(model.config().vocab_size));
  const Step step = {.cache = &cache,
                     .tokens = ids,
                     .activation = model.config().activation,
                     .logits = logits.data()};
  model.Forward({&step, 1}, workspace);
  if (stats != nullptr) *stats = workspace.stats;
  return logits;
}

class SyntheticTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(::testing::TempDir()) / ("synthetic_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  ThreadPool pool_{2};
};

TEST_F(SyntheticTest, HasStatesOfAModelInEveryType) {
  const ModelConfig config = ParseShape(kShape, "test");
  for (const std::string& name : QuantizeTypeNames()) {
    const SyntheticModel synthetic(config, ParseQuantizeType(name, "test"), FfnLayout::kNeurons,
                                   pool_);
    const std::vector<float> logits =
        Logits(synthetic.MakeModel({}), RandomTokens(config, 40, 5), pool_);
    double squares = 0;
    for (const float logit : logits) squares += static_cast<double>(logit) * logit;
    const double size = std::sqrt(squares / static_cast<double>(logits.size()));
    EXPECT_GT(size, 0.1) << name;
    EXPECT_LT(size, 10) << name;
  }
}

TEST_F(SyntheticTest, AFileHoldsTheSameModel) {
  ModelConfig config = ParseShape(kShape, "test");
  const std::vector<float> thresholds = {0.5F, 1.25F};
  const SyntheticModel synthetic(config, QuantizeType::kQ8_0, FfnLayout::kNeurons, pool_);
  std::filesystem::create_directories(folder_);
  synthetic.Write(folder_ / "model.gguf", thresholds, [](double) {});
  const Model loaded = Model::Load(folder_ / "model.gguf", pool_);
  config.thresholds = thresholds;
  EXPECT_EQ(loaded.config(), config);
  EXPECT_EQ(loaded.weights().layers[1].threshold, 1.25F);
  const std::vector<int32_t> ids = RandomTokens(config, 9, 5);
  EXPECT_EQ(Logits(loaded, ids, pool_), Logits(synthetic.MakeModel(thresholds), ids, pool_));
}

TEST_F(SyntheticTest, TokensHeldOutFindTheSparsityAskedFor) {
  for (const double sparsity : {0.5, 0.9}) {
    const SyntheticSpec spec = {
        .shape = "256,2048,2,4,2,300", .type = "q8_0", .sparsity = sparsity};
    const Model model =
        Model::Load(FindOrMakeSynthetic(spec, folder_, pool_, [](const std::string&) {}), pool_);
    std::vector<LayerStats> stats;
    Logits(model, RandomTokens(model.config(), 300, 9), pool_, &stats);
    for (const LayerStats& layer : stats) {
      EXPECT_NEAR(layer.ActiveFraction(2048), 1 - sparsity, 0.005);
    }
  }
}

TEST_F(SyntheticTest, AFileIsMadeOnce) {
  const SyntheticSpec spec = {.shape = kShape, .type = "q4_0"};
  int told = 0;
  const auto tell = [&told](const std::string&) { ++told; };
  const std::filesystem::path path = FindOrMakeSynthetic(spec, folder_, pool_, tell);
  EXPECT_GT(told, 0);
  told = 0;
  EXPECT_EQ(FindOrMakeSynthetic(spec, folder_, pool_, tell), path);
  EXPECT_EQ(told, 0);
  SyntheticSpec other = spec;
  other.sparsity = 0.95;
  EXPECT_NE(FindOrMakeSynthetic(other, folder_, pool_, tell), path);
}

TEST_F(SyntheticTest, StoppedHalfwayLeavesNothing) {
  const SyntheticSpec spec = {.shape = kShape, .type = "q8_0"};
  const auto stop = [](const std::string& doing) {
    if (doing.starts_with("writing")) throw Error({.what = "interrupted"});
  };
  EXPECT_THROW(FindOrMakeSynthetic(spec, folder_, pool_, stop), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SyntheticTest, RefusesWhatRandomWeightsCannotHave) {
  const auto tell = [](const std::string&) {};
  for (const double sparsity : {-1.0, 0.0, 0.49, 1.0, std::nan("")}) {
    const SyntheticSpec spec = {.shape = kShape, .type = "q8_0", .sparsity = sparsity};
    EXPECT_THROW(FindOrMakeSynthetic(spec, folder_, pool_, tell), UsageError) << sparsity;
  }
  const SyntheticSpec spec = {.shape = kShape, .type = "q9"};
  EXPECT_THROW(FindOrMakeSynthetic(spec, folder_, pool_, tell), UsageError);
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

}  // namespace
}  // namespace stocha
