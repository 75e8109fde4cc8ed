#include "stocha/engine/thresholds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/engine/calibrate.h"
#include "stocha/engine/packed_testing.h"
#include "stocha/kernels/amx_emulator.h"

namespace stocha {
namespace {

constexpr int64_t kTokens = 90;

CalibrationText TextOf(const std::vector<int32_t>& ids) {
  return {.ids = ids, .context = 40, .activation = ParseActivation("relu", "test")};
}

std::vector<GateHistogram> GatesOf(const Model& model, const CalibrationText& text,
                                   int threads = 2) {
  ThreadPool pool(threads);
  Workspace workspace(model.config(), &pool, {});
  return CountGates(model, text, workspace, [](int64_t) {});
}

CalibratedThresholds Calibrate(Model* model, const CalibrationText& text, double sparsity,
                               Sharing sharing = Sharing::kLeastHarm, int threads = 2) {
  model->SetThresholds({});
  const std::vector<GateHistogram> start = GatesOf(*model, text, threads);
  ThreadPool pool(threads);
  return CalibrateThresholds(model, start, text, sparsity, sharing, pool, [](int, int64_t) {});
}

// The fraction of neurons that does not fire, of each layer.
std::vector<double> SparsityOf(const Model& model, const CalibrationText& text) {
  ThreadPool pool(1);
  Workspace workspace(model.config(), &pool, {});
  RunText(model, text, workspace, [](int64_t) {});
  std::vector<double> sparsity;
  for (const LayerStats& layer : workspace.stats) {
    sparsity.push_back(1 - layer.ActiveFraction(model.config().intermediate_size));
  }
  return sparsity;
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// Gates 1, 2 ... 100 and as many below 0; a gate's harm is `scale` times its square.
GateHistogram Ramp(double scale) {
  GateHistogram layer = {.gates = 200,
                         .counts = std::vector<int64_t>(kGateBins, 0),
                         .harm = std::vector<double>(kGateBins, 0)};
  for (int gate = 1; gate <= 100; ++gate) {
    const auto value = static_cast<float>(gate);  // 7 bits: in a bin of its own
    const int bin = (std::bit_cast<int32_t>(value) >> 16) - ((127 - 16) << 7);
    ++layer.counts[bin];
    layer.harm[bin] += scale * gate * gate;
  }
  return layer;
}

int64_t Above(const std::vector<float>& thresholds, size_t layer) {
  int64_t above = 0;
  for (int gate = 1; gate <= 100; ++gate) {
    above += static_cast<float>(gate) > thresholds[layer] ? 1 : 0;
  }
  return above;
}

TEST(ChooseThresholdsTest, TheLastGateLeftOutOfEveryLayerHarmsAlike) {
  const std::vector<GateHistogram> layers = {Ramp(1), Ramp(4)};
  // Gates up to 2 x of the first layer go with those up to x of the second.
  for (const int x : {5, 20, 40}) {
    const double sparsity = (200 + 3 * x) / 400.0;
    const std::vector<float> least = ChooseThresholds(layers, sparsity, Sharing::kLeastHarm);
    EXPECT_NEAR(static_cast<double>(Above(least, 0)), 100 - 2 * x, 1) << x;
    EXPECT_NEAR(static_cast<double>(Above(least, 1)), 100 - x, 1) << x;
    const std::vector<float> equal = ChooseThresholds(layers, sparsity, Sharing::kEqual);
    EXPECT_EQ(equal[0], equal[1]);
    EXPECT_NEAR(static_cast<double>(Above(equal, 0)), 100 - 1.5 * x, 1) << x;
  }
}

TEST(ChooseThresholdsTest, NoneWhereAsMuchIsSilent) {
  const std::vector<GateHistogram> layers = {Ramp(1), Ramp(4)};
  for (const Sharing sharing : {Sharing::kLeastHarm, Sharing::kEqual}) {
    EXPECT_EQ(ChooseThresholds(layers, 0.5, sharing), (std::vector<float>{0, 0}));
    EXPECT_EQ(ChooseThresholds(layers, 0, sharing), (std::vector<float>{0, 0}));
  }
}

TEST(ChooseThresholdsTest, ALayerThatHasMoreKeepsIt) {
  GateHistogram sparse = Ramp(1);
  sparse.gates = 2000;  // 95 % silent
  const std::vector<float> equal =
      ChooseThresholds({sparse, Ramp(1)}, 2060 / 2200.0, Sharing::kEqual);
  EXPECT_EQ(equal[0], 0);
  EXPECT_NEAR(static_cast<double>(Above(equal, 1)), 40, 1);
}

TEST(ChooseThresholdsTest, HarmThatIsNoNumberIsAnError) {
  GateHistogram layer = Ramp(1);
  layer.harm[0] = std::numeric_limits<double>::infinity();
  EXPECT_THROW(ChooseThresholds({layer}, 0.7, Sharing::kLeastHarm), Error);
}

// Against loops over the weights, in double.
TEST(CountGatesTest, HarmIsWhatTheHeaderSays) {
  const RandomModel random(SmallConfig());
  const ModelConfig& config = random.config();
  const std::vector<int32_t> ids = RandomIds(config, 7);
  ThreadPool pool(1);
  Workspace workspace(config, &pool, {});
  std::vector<double> harm(2, 0);
  std::vector<int64_t> above(2, 0);
  workspace.on_ffn_input = [&](int layer, int64_t tokens) {
    const auto rows_of = [&](TensorRole role) {
      const std::vector<TensorSpec> specs = ListTensors(config);
      const auto spec = std::ranges::find_if(specs, [&](const TensorSpec& tensor) {
        return tensor.role == role && tensor.layer == layer;
      });
      return UnpackRows(random.model().weights(), *spec, 0, spec->shape[0]);
    };
    const std::vector<float> gate = rows_of(TensorRole::kGate);  // [neurons, hidden]
    const std::vector<float> up = rows_of(TensorRole::kUp);      // likewise
    const std::vector<float> down = rows_of(TensorRole::kDown);  // [hidden, neurons]
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < config.intermediate_size; ++i) {
        double g = 0;
        double u = 0;
        double d = 0;
        for (int64_t h = 0; h < config.hidden_size; ++h) {
          const double x = workspace.normed.data()[t * config.hidden_size + h];
          g += x * gate[i * config.hidden_size + h];
          u += x * up[i * config.hidden_size + h];
          d += std::pow(double{down[h * config.intermediate_size + i]}, 2);
        }
        if (g <= 0) continue;
        ++above[layer];
        harm[layer] += std::pow(g * u, 2) * d;
      }
    }
  };
  const CalibrationText text = TextOf(ids);
  RunText(random.model(), text, workspace, [](int64_t) {});
  const std::vector<GateHistogram> gates = GatesOf(random.model(), text);
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(gates[layer].gates, 7 * config.intermediate_size);
    int64_t count = 0;
    double sum = 0;
    for (int bin = 0; bin < kGateBins; ++bin) {
      count += gates[layer].counts[bin];
      sum += gates[layer].harm[bin];
    }
    EXPECT_EQ(count, above[layer]);
    EXPECT_NEAR(sum / harm[layer], 1, 1e-4);
  }
}

class CalibrateThresholdsTypes : public ::testing::TestWithParam<QuantizeType> {
 protected:
  CalibrateThresholdsTypes()
      : random_(BlockConfig(64, Architecture::kLlama)),
        file_("thresholds-" + std::string(QuantizeTypeName(GetParam()))),
        ids_(RandomIds(random_.config(), kTokens)),
        pool_(2) {
    WritePacked(SourceOf(random_), GetParam(), file_.path());
  }

  RandomModel random_;
  TemporaryFile file_;
  std::vector<int32_t> ids_;
  ThreadPool pool_;
};
INSTANTIATE_TEST_SUITE_P(Types, CalibrateThresholdsTypes,
                         ::testing::Values(QuantizeType::kF32, QuantizeType::kQ8_0,
                                           QuantizeType::kQ4_0, QuantizeType::kMixed),
                         [](const ::testing::TestParamInfo<QuantizeType>& type) {
                           return std::string(QuantizeTypeName(type.param));
                         });

TEST_P(CalibrateThresholdsTypes, ReachTheSparsityOnTheSameText) {
  Model model = Model::Load(file_.path(), pool_);
  const CalibrationText text = TextOf(ids_);
  for (const Sharing sharing : {Sharing::kLeastHarm, Sharing::kEqual}) {
    for (const double sparsity : {0.6, 0.8, 0.95}) {
      const CalibratedThresholds found = Calibrate(&model, text, sparsity, sharing);
      EXPECT_EQ(model.config().thresholds, found.thresholds);
      const std::vector<double> measured = SparsityOf(model, text);
      EXPECT_EQ(found.sparsity, measured);
      EXPECT_NEAR(found.mean_sparsity, Mean(measured), 1e-12);
      EXPECT_NEAR(Mean(measured), sparsity, 0.005);
      if (sharing == Sharing::kLeastHarm) continue;
      for (const double layer : measured) EXPECT_NEAR(layer, sparsity, 0.02);
    }
  }
}

TEST_P(CalibrateThresholdsTypes, SameBitsForAnyNumberOfThreads) {
  Model model = Model::Load(file_.path(), pool_);
  const CalibrationText text = TextOf(ids_);
  const CalibratedThresholds one = Calibrate(&model, text, 0.75, Sharing::kLeastHarm, 1);
  const CalibratedThresholds three = Calibrate(&model, text, 0.75, Sharing::kLeastHarm, 3);
  EXPECT_EQ(one.thresholds, three.thresholds);
  EXPECT_EQ(one.neuron_fired, three.neuron_fired);
}

TEST_P(CalibrateThresholdsTypes, DenseExactAndScreenedAreTheSameBits) {
  Model model = Model::Load(file_.path(), pool_);
  Calibrate(&model, TextOf(ids_), 0.7);
  const std::vector<float> dense = PackedLogits(model, ids_, "relu", {});
  for (const size_t piece : {size_t{1}, size_t{100}}) {
    const Division exact = {.mode = FfnMode::kExact, .threads = 3, .piece = piece};
    EXPECT_EQ(PackedLogits(model, ids_, "relu", exact), dense);
    // So wide that nothing is missed: what differs would be the threshold.
    ThreadPool pool(2);
    Workspace workspace(model.config(), &pool,
                        {.ffn_mode = FfnMode::kScreened, .screen_width = 100});
    KvCache cache(model.config(), kTokens);
    std::vector<float> screened(dense.size());
    for (size_t begin = 0; begin < ids_.size(); begin += piece) {
      const Step step = {
          .cache = &cache,
          .tokens = std::span(ids_).subspan(begin, std::min(piece, ids_.size() - begin)),
          .activation = ParseActivation("relu", "test"),
          .wanted = LogitsWanted::kAll,
          .logits = screened.data() + begin * static_cast<size_t>(model.config().vocab_size)};
      model.Forward({&step, 1}, workspace);
    }
    EXPECT_EQ(screened, dense);
  }
  model.SetThresholds({});
  EXPECT_NE(PackedLogits(model, ids_, "relu", {}), dense);
}

// A gate just above its threshold counts in full, so that rounding decides what a neuron of that
// size does. All the same most fire alike, and bfloat16 is nearer than 8 bits.
TEST_P(CalibrateThresholdsTypes, FastPrefillIsNearAndOfOneSetOfBits) {
  std::optional<Isa> isa;
  for (const Isa emulated : EmulatedIsas()) {
    if (Kernels(emulated).tiles != nullptr) isa = emulated;
  }
  if (!isa) GTEST_SKIP() << "no AVX-512 with bfloat16, which the tiles need";
  Model model = Model::Load(file_.path(), pool_);
  Calibrate(&model, TextOf(ids_), 0.7);
  const auto logits = [&](const Division& division) {
    return PackedLogits(model, ids_, "relu", division);
  };
  const std::vector<float> exact = logits({.isa = *isa});
  const std::vector<float> fine = logits({.isa = *isa, .depth = QuantizedDepth::kFine});
  const std::vector<float> fast = logits({.isa = *isa, .prefill = PrefillMode::kFast});
  if (GetParam() == QuantizeType::kF32) {  // which tiles do not meet
    EXPECT_EQ(fast, exact);
    return;
  }
  EXPECT_NE(fast, exact) << "the tiles were not used";
  EXPECT_LT(RelativeDifference(fast, fine), RelativeDifference(exact, fine));
  const Division other = {
      .mode = FfnMode::kExact, .threads = 3, .isa = *isa, .prefill = PrefillMode::kFast};
  EXPECT_EQ(logits(other), fast);
}

TEST(CalibrateThresholdsTest, NeverBelowWhatTheModelHas) {
  const RandomModel random(SmallConfig());
  ThreadPool pool(2);
  Model model(random.config(), random.Source(), "random", pool);
  const std::vector<int32_t> ids = RandomIds(random.config(), kTokens);
  const CalibrationText text = TextOf(ids);
  const CalibratedThresholds found = Calibrate(&model, text, 0.3);
  EXPECT_EQ(found.thresholds, (std::vector<float>{0, 0}));
  EXPECT_EQ(found.rounds, 1);
  EXPECT_GT(found.mean_sparsity, 0.45);
}

// Two layers of the same weights, but for down, of which the second has 1/8.
TEST(CalibrateThresholdsTest, ALayerThatDoesLittleBecomesSparser) {
  const ModelConfig config = BlockConfig(64, Architecture::kLlama);
  const RandomModel random(config);
  QuantizeSource source = SourceOf(random);
  source.read = [read = source.read](const TensorSpec& spec, int64_t first, int64_t count) {
    std::vector<float> values = read(spec, first, count);
    if (spec.role == TensorRole::kDown && spec.layer == 1) {
      for (float& value : values) value /= 8;
    }
    return values;
  };
  const TemporaryFile file("weak-layer");
  WritePacked(source, QuantizeType::kF32, file.path());
  ThreadPool pool(2);
  Model model = Model::Load(file.path(), pool);
  const std::vector<int32_t> ids = RandomIds(config, kTokens);
  const CalibratedThresholds found = Calibrate(&model, TextOf(ids), 0.7);
  EXPECT_GT(found.sparsity[1], found.sparsity[0] + 0.1);
}

TEST(CalibrateThresholdsTest, OrderAndThresholdsGoTogether) {
  const RandomModel random(BlockConfig(64, Architecture::kLlama));
  const TemporaryFile file("both");
  const TemporaryFile hot("both-hot");
  WritePacked(SourceOf(random), QuantizeType::kQ8_0, file.path());
  const std::vector<int32_t> ids = RandomIds(random.config(), kTokens);
  const CalibrationText text = TextOf(ids);
  PackedModelFile packed = PackedModelFile::Open(file.path());
  Model model(packed.model.header.config, std::move(packed.model.weights));
  const CalibratedThresholds found = Calibrate(&model, text, 0.8);
  packed.model.header.config.thresholds = found.thresholds;
  const Firing firing = {.tokens = kTokens, .counts = found.neuron_fired};
  WriteHotFirst(packed.file.content, packed.model, firing, hot.path(), [](int64_t) {});

  ThreadPool pool(2);
  const Model written = Model::Load(hot.path(), pool);
  EXPECT_EQ(written.config().thresholds, found.thresholds);
  EXPECT_NEAR(Mean(SparsityOf(written, text)), 0.8, 0.005);
  const Firing again = CountFiring(written, text, pool, [](int64_t) {});
  for (size_t layer = 0; layer < again.counts.size(); ++layer) {
    // Sums of another order: a gate at its threshold may fall to the other side.
    EXPECT_GT(again.counts[layer].front(), again.counts[layer].back());
    for (size_t i = 1; i < again.counts[layer].size(); ++i) {
      EXPECT_LE(again.counts[layer][i], again.counts[layer][i - 1] + 3);
    }
  }
}

TEST(CountGatesTest, StoppedTheWorkspaceCountsNoMore) {
  const RandomModel random(SmallConfig());
  ThreadPool pool(1);
  Workspace workspace(random.config(), &pool, {});
  const std::vector<int32_t> ids = RandomIds(random.config(), 9);
  const auto stop = [](int64_t) { throw Error({.what = "stopped"}); };
  EXPECT_THROW(CountGates(random.model(), TextOf(ids), workspace, stop), Error);
  EXPECT_FALSE(workspace.on_ffn_input);
}

}  // namespace
}  // namespace stocha
