// Every instruction set against the scalar specification, and what holds for all of them.
#include "stocha/kernels/gated_activation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "stocha/kernels/gated_activation_testing.h"

namespace stocha {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The contract's bound; `scale` is |gradient of hidden * up| for grad_gate, else 0.
testing::AssertionResult Agrees(float got, float want, float scale) {
  if (std::isnan(want) || std::isinf(want)) {
    if (std::isnan(want) ? std::isnan(got) : got == want) return testing::AssertionSuccess();
  } else if (std::abs(double{got} - double{want}) <=
             4 * FLT_EPSILON * std::max({std::abs(want), scale, FLT_MIN})) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "got " << got << ", want " << want;
}

// The rounded values may be neighbours where the exact one lies near the middle.
testing::AssertionResult Agrees(uint16_t got, uint16_t want, float /*scale*/) {
  if (std::isnan(ToFloat(want)) ? std::isnan(ToFloat(got)) : std::abs(int{got} - int{want}) <= 1) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "got " << ToFloat(got) << ", want " << ToFloat(want);
}

class GatedActivationTest : public testing::TestWithParam<std::tuple<Isa, const char*>> {
 protected:
  Isa isa() const { return std::get<0>(GetParam()); }
  Activation activation() const { return ParseActivation(std::get<1>(GetParam()), "test"); }

  // Fills with random numbers and whatever is special, then compares with the specification.
  template <typename T>
  void CompareWithScalar(int64_t neurons, float l1_scale) {
    GatedActivationCase<T> got(activation(), 3, neurons);
    got.stream = {.seed = 0x123456789, .layer = 3, .step = 1000};
    got.first_row = 0xFFFFFFFE;  // the row index wraps within the call
    got.l1_scale = l1_scale;
    got.FillRandomly(static_cast<uint32_t>(neurons));
    const float special[] = {0.0f,    -0.0f, 1e-40f, -1e-40f,   -86.9f,     -30.0f,
                             -1e-20f, 80.0f, 1e30f,  kInfinity, -kInfinity, kNan};
    for (size_t i = 0; i < std::size(special) && i * 5 < got.gate.size(); ++i) {
      got.gate[i * 5] = FromFloat<T>(special[i]);
    }
    GatedActivationCase<T> want = got;
    const GatedActivationStats got_stats = got.Run(isa());
    const GatedActivationStats want_stats = want.Run(Isa::kScalar);

    for (int64_t row = 0; row < got.rows; ++row) {
      for (int64_t neuron = 0; neuron < neurons; ++neuron) {
        SCOPED_TRACE(testing::Message() << "row " << row << " neuron " << neuron << " gate "
                                        << got.Gate(row, neuron) << " of " << neurons);
        const float up = got.Up(row, neuron);
        const float grad = ToFloat(got.grad_hidden[row * (neurons + 1) + neuron]);
        const float scale = (std::abs(grad) + l1_scale) * std::abs(up);
        EXPECT_TRUE(Agrees(got.Hidden(row, neuron), want.Hidden(row, neuron), 0));
        EXPECT_TRUE(Agrees(got.GradUp(row, neuron), want.GradUp(row, neuron), 0));
        EXPECT_TRUE(Agrees(got.GradGate(row, neuron), want.GradGate(row, neuron), scale));
        EXPECT_EQ(got.Fired(row, neuron), want.Fired(row, neuron));
      }
      if (row + 1 < got.rows) {  // what lies between rows is nobody's
        for (int64_t i = neurons; i < neurons + 2; ++i) {
          EXPECT_EQ(ToFloat(got.GradUp(row, i)), ToFloat(want.GradUp(row, i)));
          EXPECT_EQ(ToFloat(got.GradGate(row, i)), ToFloat(want.GradGate(row, i)));
        }
        EXPECT_EQ(ToFloat(got.Hidden(row, neurons)), ToFloat(want.Hidden(row, neurons)));
      }
    }
    EXPECT_EQ(got_stats.active, want_stats.active);
  }
};

constexpr int64_t kSizes[] = {1, 7, 8, 9, 31, 63, 64, 65, 127, 128, 129, 200, 1000};

TEST_P(GatedActivationTest, AgreesWithScalarInF32) {
  for (const int64_t neurons : kSizes) CompareWithScalar<float>(neurons, 0);
}

TEST_P(GatedActivationTest, AgreesWithScalarInBF16) {
  for (const int64_t neurons : kSizes) CompareWithScalar<uint16_t>(neurons, 0);
}

TEST_P(GatedActivationTest, AgreesWithScalarWithAnL1Penalty) {
  for (const int64_t neurons : {65, 128}) CompareWithScalar<float>(neurons, 0.25f);
}

TEST_P(GatedActivationTest, IsZeroOrTinyWhereSiluUnderflows) {
  GatedActivationCase<float> run(activation(), 1, 3);
  run.gate = {-87.5f, -104.0f, -3e38f};
  run.up = {1, 1, 1};
  run.grad_hidden = {1, 1, 1};
  run.Run(isa());
  for (int64_t neuron = 0; neuron < 3; ++neuron) {
    EXPECT_LT(std::abs(run.Hidden(0, neuron)), 1e-35f);
    EXPECT_LT(std::abs(run.GradGate(0, neuron)), 1e-35f);
    EXPECT_LT(std::abs(run.GradUp(0, neuron)), 1e-35f);
  }
}

TEST_P(GatedActivationTest, SplittingTheRowsGivesTheSameBits) {
  GatedActivationCase<uint16_t> whole(activation(), 7, 150);
  whole.stream.seed = 5;
  whole.first_row = 20;
  whole.FillRandomly(1);
  GatedActivationCase<uint16_t> split = whole;
  const GatedActivationStats whole_stats = whole.Run(isa());

  GatedActivationStats split_stats;
  for (const auto& [first, count] : {std::pair{0, 3}, {3, 1}, {4, 3}}) {
    GatedActivationArgs<uint16_t> args = split.Args();
    args.rows = count;
    args.first_row += static_cast<uint32_t>(first);
    args.gate += first * args.gate_stride;
    args.up += first * args.up_stride;
    args.hidden += first * args.hidden_stride;
    args.grad_hidden += first * args.hidden_stride;
    args.grad_gate += first * args.grad_stride;
    args.grad_up += first * args.grad_stride;
    GatedActivationForward(isa(), args, &split_stats);
    GatedActivationBackward(isa(), args);
  }
  EXPECT_EQ(split.hidden, whole.hidden);
  EXPECT_EQ(split.grad_gate, whole.grad_gate);
  EXPECT_EQ(split.grad_up, whole.grad_up);
  EXPECT_EQ(split_stats.active, whole_stats.active);
  EXPECT_NEAR(split_stats.hidden_l1, whole_stats.hidden_l1, 1e-9 * whole_stats.hidden_l1);
}

TEST_P(GatedActivationTest, StatsCountWhatFiredAndSumIt) {
  GatedActivationCase<float> run(activation(), 5, 77);
  run.FillRandomly(3);
  GatedActivationStats stats = {.active = 1000, .hidden_l1 = 0};
  GatedActivationForward(isa(), run.Args(), &stats);
  int64_t active = 1000;  // stats are added to
  double l1 = 0;
  for (int64_t row = 0; row < run.rows; ++row) {
    for (int64_t neuron = 0; neuron < run.neurons; ++neuron) {
      active += run.Fired(row, neuron);
      l1 += std::abs(run.Hidden(row, neuron));
    }
  }
  EXPECT_EQ(stats.active, active);
  EXPECT_NEAR(stats.hidden_l1, l1, 1e-5 * l1);
  GatedActivationForward(isa(), run.Args(), nullptr);  // and nobody need want them
}

std::string TestName(const testing::TestParamInfo<std::tuple<Isa, const char*>>& info) {
  std::string name = std::string(IsaName(std::get<0>(info.param))) + "_" + std::get<1>(info.param);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    All, GatedActivationTest,
    testing::Combine(testing::ValuesIn(AvailableIsas()),
                     testing::Values("relu", "silu", "relu2", "stocha:0", "stocha:0.3",
                                     "stocha:0.7,smooth", "stocha:0.5,token",
                                     "stocha:0.5,smooth,layer", "stocha:1", "expected:0.7",
                                     "expected:0.4,smooth", "expected:0.3,blend",
                                     "stocha:0.6,blend", "stocha:0.2,blend,token", "stocha:0,blend",
                                     "stocha:1,blend")),
    TestName);

// Same bits, whatever the inputs' bits.
template <typename T>
void ExpectSameBits(Isa isa, const char* one, const char* other) {
  GatedActivationCase<T> a(ParseActivation(one, "test"), 4, 333);
  a.FillRandomly(9);
  for (size_t i = 0; i < a.gate.size(); i += 10) a.gate[i] = FromFloat<T>(i % 20 == 0 ? 0 : -0.0f);
  GatedActivationCase<T> b = a;
  b.activation = ParseActivation(other, "test");
  a.Run(isa);
  b.Run(isa);
  const auto same = [](const std::vector<T>& x, const std::vector<T>& y) {
    return std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
  };
  EXPECT_TRUE(same(a.hidden, b.hidden)) << IsaName(isa) << " " << one << " " << other;
  EXPECT_TRUE(same(a.grad_gate, b.grad_gate)) << IsaName(isa) << " " << one << " " << other;
  EXPECT_TRUE(same(a.grad_up, b.grad_up)) << IsaName(isa) << " " << one << " " << other;
}

TEST(GatedActivationIdentityTest, TheEndsOfPAreReluAndSilu) {
  for (const Isa isa : AvailableIsas()) {
    for (const char* never : {"stocha:0", "stocha:0,token"}) {
      ExpectSameBits<float>(isa, "relu", never);
      ExpectSameBits<uint16_t>(isa, "relu", never);
    }
    for (const char* always : {"stocha:1,smooth", "expected:1,smooth", "stocha:1,smooth,layer",
                               "stocha:1,blend", "expected:1,blend"}) {
      ExpectSameBits<float>(isa, "silu", always);
      ExpectSameBits<uint16_t>(isa, "silu", always);
    }
  }
}

TEST(GatedActivationIdentityTest, TheKinkHasGradientZero) {
  for (const Isa isa : AvailableIsas()) {
    GatedActivationCase<float> run({.kind = ActivationKind::kRelu}, 1, 2);
    run.gate = {0.0f, -0.0f};
    run.up = {2, 2};
    run.grad_hidden = {3, 3};
    run.Run(isa);
    EXPECT_EQ(run.grad_gate, (std::vector<float>{0, 0})) << IsaName(isa);
  }
}

TEST(GatedActivationIdentityTest, TheL1PenaltyPullsHiddenTowardsZero) {
  for (const Isa isa : AvailableIsas()) {
    GatedActivationCase<float> run({.kind = ActivationKind::kRelu}, 1, 4);
    run.gate = {2, 2, -2, 2};
    run.up = {3, -3, 3, 0};
    run.grad_hidden = {1, 1, 1, 1};
    run.l1_scale = 0.5f;
    run.Run(isa);
    // (1 + 0.5 sign(hidden)) * act, and times up.
    EXPECT_EQ(run.grad_up, (std::vector<float>{3, 1, 0, 2})) << IsaName(isa);
    EXPECT_EQ(run.grad_gate, (std::vector<float>{4.5f, -1.5f, 0, 0})) << IsaName(isa);
  }
}

}  // namespace
}  // namespace stocha
