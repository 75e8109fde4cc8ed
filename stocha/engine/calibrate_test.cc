#include "stocha/engine/calibrate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/engine/packed_testing.h"

namespace stocha {
namespace {

struct OpenedModel {
  explicit OpenedModel(const std::filesystem::path& path)
      : packed(PackedModelFile::Open(path)),
        model(packed.model.header.config, std::move(packed.model.weights)) {}
  PackedModelFile packed;  // without its weights
  Model model;
};

Firing Count(const Model& model, const std::vector<int32_t>& ids, int64_t context = 100,
             int threads = 2) {
  ThreadPool pool(threads);
  const CalibrationText text = {
      .ids = ids, .context = context, .activation = ParseActivation("relu", "test")};
  return CountFiring(model, text, pool, [](int64_t) {});
}

void WriteHot(const OpenedModel& opened, const Firing& firing, const std::filesystem::path& path) {
  WriteHotFirst(opened.packed.file.content, opened.packed.model, firing, path, [](int64_t) {});
}

TEST(FiringTest, HotFirstAndTheirTenths) {
  Firing firing = {.tokens = 10, .counts = {{3, 10, 3, 0}, std::vector<int64_t>(25, 5)}};
  EXPECT_EQ(firing.HotFirst(0), (std::vector<int64_t>{1, 0, 2, 3}));
  firing.counts.erase(firing.counts.begin());
  firing.counts[0][20] = 10;
  firing.counts[0][3] = 0;
  const std::vector<float> parts = firing.Parts();
  ASSERT_EQ(parts.size(), kFiredParts);
  EXPECT_FLOAT_EQ(parts[0], 0.75F);  // two neurons: 10 and 5 of 10 tokens
  EXPECT_FLOAT_EQ(parts[5], 0.5F);
  EXPECT_FLOAT_EQ(parts[9], 1.0F / 3);  // three: 5, 5, 0
}

TEST(CalibrateTest, CountsWhatFires) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const std::vector<int32_t> ids = RandomIds(random.config(), 70);
  const Firing firing = Count(random.model(), ids);
  EXPECT_EQ(firing.tokens, 70);
  // The sums are those of the statistics.
  ThreadPool pool(1);
  Workspace workspace(random.config(), &pool, {});
  KvCache cache(random.config(), 70);
  const Step step = {.cache = &cache,
                     .tokens = ids,
                     .activation = ParseActivation("relu", "test"),
                     .wanted = LogitsWanted::kNone};
  random.model().Forward({&step, 1}, workspace);
  for (size_t layer = 0; layer < firing.counts.size(); ++layer) {
    const std::vector<int64_t>& counts = firing.counts[layer];
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}),
              workspace.stats[layer].fired);
    EXPECT_LE(std::ranges::max(counts), 70);
  }
  EXPECT_TRUE(workspace.neuron_fired.empty());
}

TEST(CalibrateTest, WindowsBeginAnew) {
  const RandomModel random(SmallConfig());
  const std::vector<int32_t> ids = RandomIds(random.config(), 50);
  const Firing whole = Count(random.model(), ids, 20, 1);
  Firing sum = Count(random.model(), {ids.begin(), ids.begin() + 20});
  for (const Firing& part : {Count(random.model(), {ids.begin() + 20, ids.begin() + 40}),
                             Count(random.model(), {ids.begin() + 40, ids.end()})}) {
    for (size_t l = 0; l < sum.counts.size(); ++l) {
      for (size_t i = 0; i < sum.counts[l].size(); ++i) sum.counts[l][i] += part.counts[l][i];
    }
  }
  EXPECT_EQ(whole.counts, sum.counts);
}

class CalibrateTypes : public ::testing::TestWithParam<QuantizeType> {};
INSTANTIATE_TEST_SUITE_P(Types, CalibrateTypes,
                         ::testing::Values(QuantizeType::kF32, QuantizeType::kQ8_0,
                                           QuantizeType::kMixed),
                         [](const ::testing::TestParamInfo<QuantizeType>& type) {
                           return std::string(QuantizeTypeName(type.param));
                         });

TEST_P(CalibrateTypes, SameModelHotFirst) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile trained("trained");
  const TemporaryFile hot("hot");
  WritePacked(SourceOf(random), GetParam(), trained.path());
  const OpenedModel before(trained.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 60);
  const Firing firing = Count(before.model, ids);
  WriteHot(before, firing, hot.path());

  const OpenedModel after(hot.path());
  EXPECT_EQ(after.packed.model.header.fired, firing.Parts());
  EXPECT_EQ(after.packed.model.header.config, before.packed.model.header.config);
  // Row by row the weights of the neuron that belongs there.
  for (const TensorSpec& spec : ListTensors(random.config())) {
    const int64_t rows = spec.shape[0];
    const std::vector<float> was = UnpackRows(before.model.weights(), spec, 0, rows);
    const std::vector<float> is = UnpackRows(after.model.weights(), spec, 0, rows);
    if (spec.role == TensorRole::kGate || spec.role == TensorRole::kUp) {
      const std::vector<int64_t> order = firing.HotFirst(static_cast<size_t>(spec.layer));
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t c = 0; c < spec.shape[1]; ++c) {
          ASSERT_EQ(is[i * spec.shape[1] + c], was[order[i] * spec.shape[1] + c]) << spec.name;
        }
      }
    } else if (spec.role == TensorRole::kDown) {
      const std::vector<int64_t> order = firing.HotFirst(static_cast<size_t>(spec.layer));
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = 0; i < spec.shape[1]; ++i) {
          ASSERT_EQ(is[r * spec.shape[1] + i], was[r * spec.shape[1] + order[i]]) << spec.name;
        }
      }
    } else {
      ASSERT_EQ(is, was) << spec.name;
    }
  }
  const std::vector<float> expected = PackedLogits(before.model, ids, "relu", {});
  const std::vector<float> dense = PackedLogits(after.model, ids, "relu", {});
  // Inputs of packed rows are rounded to 8 bits: where the last bit decides, a step more or less.
  const bool packed = IsPacked(after.model.weights().layers[0].up.type);
  EXPECT_LT(RelativeDifference(dense, expected), packed ? 0.02 : 1e-5);
  EXPECT_EQ(PackedLogits(after.model, ids, "relu", {.mode = FfnMode::kExact, .threads = 3}), dense);
}

TEST(CalibrateTest, ReadingFromTheDiskChangesNoBit) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile file("on-disk");
  WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), 12);
  const Division exact = {.mode = FfnMode::kExact, .threads = 2};
  const std::vector<float> expected =
      PackedLogits(OpenedModel(file.path()).model, ids, "relu", exact);
  PackedModelFile packed = PackedModelFile::Open(file.path());
  EXPECT_FALSE(packed.model.weights.layers[0].on_disk);  // it fits
  for (LayerWeights& layer : packed.model.weights.layers) {
    layer.on_disk = true;
    layer.kept_neurons = kNeuronBlock;
  }
  const Model model(packed.model.header.config, std::move(packed.model.weights));
  EXPECT_EQ(PackedLogits(model, ids, "relu", exact), expected);
}

TEST(CalibrateTest, StoppedTheOldFileStays) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile trained("stop");
  const TemporaryFile hot("stopped");
  WritePacked(SourceOf(random), QuantizeType::kF32, trained.path());
  WriteFile(hot.path(), "the old file");
  const OpenedModel opened(trained.path());
  const Firing firing = Count(opened.model, {1, 2, 3});
  const auto stop = [](int64_t bytes) {
    if (bytes > 0) throw Error({.what = "stopped"});
  };
  EXPECT_THROW(
      WriteHotFirst(opened.packed.file.content, opened.packed.model, firing, hot.path(), stop),
      Error);
  EXPECT_EQ(ReadFile(hot.path()), "the old file");
}

TEST(CalibrateTest, MayReplaceTheFileThatItReads) {
  const RandomModel random(BlockConfig(64, Architecture::kQwen2));
  const TemporaryFile file("in-place");
  const TemporaryFile other("beside");
  WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path());
  const OpenedModel opened(file.path());
  const Firing firing = Count(opened.model, RandomIds(random.config(), 9));
  WriteHot(opened, firing, other.path());
  WriteHot(opened, firing, file.path());
  EXPECT_EQ(ReadFile(file.path()), ReadFile(other.path()));
}

}  // namespace
}  // namespace stocha
