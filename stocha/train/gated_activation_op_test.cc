// The autograd op: derivatives, threads, what it keeps, what it refuses. Its values are the
// kernels', tested beside them.
#include "stocha/train/gated_activation_op.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <string>
#include <vector>

namespace stocha {
namespace {

at::Tensor Randn(at::IntArrayRef shape, uint64_t seed, at::ScalarType type) {
  return at::randn(shape, at::detail::createCPUGenerator(seed)).to(type);
}

struct Operands {
  at::Tensor gate, up, grad_hidden;
};

Operands RandomOperands(int64_t tokens, int64_t neurons, at::ScalarType type) {
  return {Randn({tokens, neurons}, 1, type).requires_grad_(),
          Randn({tokens, neurons}, 2, type).requires_grad_(), Randn({tokens, neurons}, 3, type)};
}

GatedActivationCall CallOf(const char* activation) {
  return {.activation = ParseActivation(activation, "test"),
          .stream = {.seed = 17, .layer = 2, .step = 5},
          .first_row = 40};
}

at::Tensor Hidden(const at::Tensor& gate, const at::Tensor& up, const GatedActivationCall& call) {
  return GatedActivation(at::cat({gate, up}, 1), call);
}
at::Tensor Hidden(const Operands& x, const GatedActivationCall& call) {
  return Hidden(x.gate, x.up, call);
}

class GatedActivationOpTest : public testing::TestWithParam<const char*> {};

TEST_P(GatedActivationOpTest, DerivativesAreThoseOfFiniteDifferences) {
  constexpr double kEpsilon = 1e-6;
  const GatedActivationCall call = CallOf(GetParam());
  Operands x = RandomOperands(3, 37, at::kDouble);
  {
    // Away from the kink, where there is no derivative.
    const at::Tensor gate = x.gate.detach();
    gate.add_(gate.sign() * 0.01);
  }
  Hidden(x, call).backward(x.grad_hidden);
  const auto loss = [&] { return (Hidden(x, call) * x.grad_hidden).sum().item<double>(); };
  for (const at::Tensor& input : {x.gate, x.up}) {
    const at::Tensor values = input.detach().view({-1});
    const at::Tensor gradient = input.grad().view({-1});
    for (int64_t i = 0; i < values.numel(); ++i) {
      double& value = values.data_ptr<double>()[i];
      const double before = value;
      value = before + kEpsilon;
      const double above = loss();
      value = before - kEpsilon;
      const double below = loss();
      value = before;
      EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * kEpsilon), 1e-7) << i;
    }
  }
}

TEST_P(GatedActivationOpTest, OneAndTwoThreadsGiveTheSameBits) {
  const int threads_before = at::get_num_threads();
  Operands one = RandomOperands(203, 700, at::kBFloat16);  // several chunks, the last one short
  Operands two = {one.gate.detach().clone().requires_grad_(),
                  one.up.detach().clone().requires_grad_(), one.grad_hidden};
  GatedActivationStats stats[2];
  GatedActivationCall call = CallOf(GetParam());

  at::set_num_threads(1);
  call.stats = &stats[0];
  const at::Tensor hidden_one = Hidden(one, call);
  hidden_one.backward(one.grad_hidden);
  at::set_num_threads(2);
  call.stats = &stats[1];
  const at::Tensor hidden_two = Hidden(two, call);
  hidden_two.backward(two.grad_hidden);
  at::set_num_threads(threads_before);

  EXPECT_TRUE(at::equal(hidden_one, hidden_two));
  EXPECT_TRUE(at::equal(one.gate.grad(), two.gate.grad()));
  EXPECT_TRUE(at::equal(one.up.grad(), two.up.grad()));
  EXPECT_EQ(stats[0].active, stats[1].active);
  EXPECT_EQ(stats[0].hidden_l1, stats[1].hidden_l1);
  EXPECT_EQ(stats[0].active, hidden_one.count_nonzero().item<int64_t>());
}

TEST_P(GatedActivationOpTest, TokensCountFromFirstRowAcrossChunks) {
  const GatedActivationCall call = CallOf(GetParam());
  const Operands x = RandomOperands(90, 1500, at::kFloat);
  const at::Tensor whole = Hidden(x, call);
  GatedActivationCall later = call;
  later.first_row += 67;
  const at::Tensor part = Hidden(x.gate.narrow(0, 67, 23), x.up.narrow(0, 67, 23), later);
  EXPECT_TRUE(at::equal(part, whole.narrow(0, 67, 23)));
}

TEST_P(GatedActivationOpTest, RowsMayBeStrided) {
  const GatedActivationCall call = CallOf(GetParam());
  const Operands x = RandomOperands(5, 33, at::kFloat);
  const at::Tensor wide = at::cat({x.gate, x.up, x.gate}, 1).detach().requires_grad_();
  const at::Tensor hidden = Hidden(x, call);
  const at::Tensor hidden_of_wide = GatedActivation(wide.narrow(1, 0, 66), call);
  EXPECT_TRUE(at::equal(hidden, hidden_of_wide));
  hidden.backward(x.grad_hidden);
  // A gradient whose rows are not contiguous either.
  hidden_of_wide.backward(x.grad_hidden.t().contiguous().t());
  EXPECT_TRUE(at::equal(wide.grad().narrow(1, 0, 33), x.gate.grad()));
  EXPECT_TRUE(at::equal(wide.grad().narrow(1, 33, 33), x.up.grad()));
}

INSTANTIATE_TEST_SUITE_P(All, GatedActivationOpTest,
                         testing::Values("relu", "silu", "relu2", "stocha:0.7", "stocha:0.4,smooth",
                                         "stocha:0.6,blend", "stocha:0.5,token", "stocha:0.5,layer",
                                         "expected:0.7"));

// Against torch's own operators, value and gradients.
void ExpectEqualsTorch(const char* activation, at::Tensor (*reference)(const at::Tensor&),
                       double tolerance) {
  Operands ours = RandomOperands(8, 100, at::kFloat);
  Operands theirs = RandomOperands(8, 100, at::kFloat);
  const at::Tensor hidden = Hidden(ours, CallOf(activation));
  const at::Tensor hidden_reference = reference(theirs.gate) * theirs.up;
  hidden.backward(ours.grad_hidden);
  hidden_reference.backward(theirs.grad_hidden);
  EXPECT_TRUE(hidden.allclose(hidden_reference, tolerance, tolerance)) << activation;
  EXPECT_TRUE(ours.gate.grad().allclose(theirs.gate.grad(), tolerance, tolerance)) << activation;
  EXPECT_TRUE(ours.up.grad().allclose(theirs.up.grad(), tolerance, tolerance)) << activation;
}

TEST(GatedActivationOp, ReluIsTorchsReluBitForBit) {
  ExpectEqualsTorch("relu", at::relu, 0);
  ExpectEqualsTorch("stocha:0", at::relu, 0);
}

TEST(GatedActivationOp, SiluIsTorchsSilu) {
  ExpectEqualsTorch("silu", at::silu, 1e-6);
  ExpectEqualsTorch("stocha:1,smooth", at::silu, 1e-6);
}

TEST(GatedActivationOp, TheL1PenaltyIsTheGradientOfTheMeanHidden) {
  GatedActivationCall call = CallOf("stocha:0.7");
  Operands plain = RandomOperands(6, 50, at::kFloat);
  const at::Tensor hidden = Hidden(plain, call);
  ((hidden * plain.grad_hidden).sum() + 0.125 * at::abs(hidden).sum()).backward();

  Operands penalised = RandomOperands(6, 50, at::kFloat);
  call.l1_scale = 0.125;
  Hidden(penalised, call).backward(penalised.grad_hidden);
  EXPECT_TRUE(penalised.gate.grad().allclose(plain.gate.grad(), 1e-6, 1e-6));
  EXPECT_TRUE(penalised.up.grad().allclose(plain.up.grad(), 1e-6, 1e-6));
}

// Bytes of tensor memory that this thread holds more than when it was made.
class LiveBytes : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*memory*/, int64_t size, size_t /*allocated*/, size_t /*reserved*/,
                         c10::Device /*device*/) override {
    bytes += size;
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t bytes = 0;
};

TEST(GatedActivationOp, NothingIsKeptButGateAndUp) {
  const at::Tensor gate_up = Randn({64, 512}, 1, at::kBFloat16).requires_grad_();
  const at::Tensor grad_hidden = Randn({64, 256}, 2, at::kBFloat16);
  const auto live = std::make_shared<LiveBytes>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, live);
  at::Tensor hidden = GatedActivation(gate_up, CallOf("stocha:0.7"));
  EXPECT_EQ(live->bytes, 64 * 256 * 2) << "the result, nothing else";
  at::Tensor scaled = hidden * 2;  // keeps the graph, not its operand
  hidden = at::Tensor();
  EXPECT_EQ(live->bytes, 64 * 256 * 2) << "scaled alone";
  scaled.backward(grad_hidden);
  EXPECT_TRUE(gate_up.grad().defined());
}

TEST(GatedActivationOp, EmptyTensorsPass) {
  const Operands x = RandomOperands(0, 16, at::kFloat);
  const at::Tensor hidden = Hidden(x, CallOf("stocha:0.7"));
  EXPECT_EQ(hidden.sizes(), (std::vector<int64_t>{0, 16}));
  hidden.backward(x.grad_hidden);
}

TEST(GatedActivationOp, ASecondDerivativeIsRefused) {
  const Operands x = RandomOperands(2, 8, at::kFloat);
  const at::Tensor hidden = Hidden(x, CallOf("silu"));
  try {
    torch::autograd::grad({hidden}, {x.gate}, {x.grad_hidden}, /*retain_graph=*/true,
                          /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("no second derivative"), std::string::npos);
  }
}

TEST(GatedActivationOp, WhatItCannotComputeIsRefused) {
  const GatedActivationCall call = CallOf("relu");
  EXPECT_THROW(GatedActivation(at::ones({4, 9}), call), c10::Error);
  EXPECT_THROW(GatedActivation(at::ones({8}), call), c10::Error);
  EXPECT_THROW(GatedActivation(at::ones({4, 8}).to(at::kInt), call), c10::Error);
}

}  // namespace
}  // namespace stocha
