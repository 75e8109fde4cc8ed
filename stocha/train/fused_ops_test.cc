// The fused ops against torch's own operators composed: values and gradients, in float32 tightly
// and in bfloat16 as near as its rounding allows; and two threads against one.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "stocha/train/attention_op.h"
#include "stocha/train/cross_entropy_op.h"
#include "stocha/train/linear_op.h"
#include "stocha/train/matrix_product.h"
#include "stocha/train/product_kernel.h"
#include "stocha/train/rms_norm_op.h"
#include "stocha/train/rotate_op.h"

namespace stocha {
namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<Tensors(const Tensors&)>;

at::Tensor Randn(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed));
}

// The outputs of `function`, then the gradients of the inputs for random ones of the outputs.
Tensors Run(const Function& function, const Tensors& inputs, bool cast) {
  Tensors leaves;
  Tensors arguments;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.detach().clone().requires_grad_());
    arguments.push_back(cast && input.dim() > 1 ? leaves.back().to(at::kBFloat16) : leaves.back());
  }
  Tensors results = function(arguments);
  at::Tensor sum;
  for (size_t i = 0; i < results.size(); ++i) {
    const at::Tensor part = (results[i].to(at::kFloat) * Randn(results[i].sizes(), 100 + i)).sum();
    sum = sum.defined() ? sum + part : part;
  }
  sum.backward();
  for (at::Tensor& result : results) result = result.detach().to(at::kFloat);
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

void ExpectNear(const Tensors& got, const Tensors& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].sizes(), expected[i].sizes()) << i;
    const double difference = (got[i] - expected[i]).norm().item<double>();
    EXPECT_LE(difference, tolerance * expected[i].norm().item<double>()) << "tensor " << i;
  }
}

// `fused` in float32 and in bfloat16 against `plain` in float32, and with two threads against one.
void ExpectSame(const Function& fused, const Function& plain, const Tensors& inputs) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensors expected = Run(plain, inputs, /*cast=*/false);
  const Tensors one = Run(fused, inputs, false);
  ExpectNear(one, expected, 2e-6);
  ExpectNear(Run(fused, inputs, /*cast=*/true), expected, 0.02);
  at::set_num_threads(2);
  const Tensors two = Run(fused, inputs, false);
  at::set_num_threads(threads);
  ExpectNear(two, one, 1e-6);
}

at::Tensor PlainNorm(const at::Tensor& x, const at::Tensor& weight) {
  return x * at::rsqrt(at::mean(x * x, -1, true) + 1e-5) * weight;
}

TEST(FusedOps, RmsNormIsThePlainOne) {
  for (const int64_t size : {6, 10, 48, 385}) {
    ExpectSame(
        [](const Tensors& x) { return Tensors{RmsNorm(x[0], x[1], 1e-5, x[0].scalar_type())}; },
        [](const Tensors& x) { return Tensors{PlainNorm(x[0], x[1])}; },
        {Randn({7, 5, size}, 1), Randn({size}, 2)});
  }
}

TEST(FusedOps, LinearIsThePlainOne) {
  // More inputs than outputs and fewer; whole blocks of 32 and not; sums over more tokens than are
  // packed at once.
  for (const auto& [tokens, inputs, outputs] : {std::array<int64_t, 3>{1, 3, 2},
                                                {70, 33, 130},
                                                {128, 96, 32},
                                                {1500, 40, 7},
                                                {33, 9, 700}}) {
    SCOPED_TRACE(testing::Message() << tokens << ", " << inputs << ", " << outputs);
    ExpectSame([](const Tensors& x) { return Tensors{Linear(x[0], x[1])}; },
               [](const Tensors& x) { return Tensors{at::linear(x[0], x[1])}; },
               {Randn({tokens, inputs}, 1), Randn({outputs, inputs}, 2)});
  }
  // A bias is one row here, so that it is cast as the matrices are.
  ExpectSame([](const Tensors& x) { return Tensors{Linear(x[0], x[1], x[2].view({-1}))}; },
             [](const Tensors& x) { return Tensors{at::linear(x[0], x[1], x[2].view({-1}))}; },
             {Randn({20, 12}, 1), Randn({8, 12}, 2), Randn({1, 8}, 3)});
}

TEST(FusedOps, WeightGradientIsTheSameOnEveryNumberOfThreads) {
  const int threads = at::get_num_threads();
  const at::Tensor grad = Randn({300, 500}, 1).to(at::kBFloat16);
  const at::Tensor input = Randn({300, 90}, 2).to(at::kBFloat16);
  at::set_num_threads(1);
  const at::Tensor one = MatrixProduct(grad.t(), input);
  at::set_num_threads(3);
  const at::Tensor three = MatrixProduct(grad.t(), input);
  const at::Tensor turned = MatrixProduct(input.t(), grad);
  at::set_num_threads(threads);
  if (SelectedProductKernel({.left = {.turned = true}}) == nullptr)
    GTEST_SKIP()
        << "no kernel for this machine or STOCHA_ISA: at::mm stands in, which promises nothing";
  EXPECT_TRUE(at::equal(one, three));
  EXPECT_TRUE(at::equal(one, turned.t()));
}

TEST(FusedOps, AddRmsNormIsThePlainOne) {
  for (const int64_t size : {6, 10, 48, 385}) {
    ExpectSame(
        [](const Tensors& x) {
          const NormedSum result = AddRmsNorm(x[0].to(at::kFloat), x[1], x[2], 1e-5);
          return Tensors{result.sum, result.normed};
        },
        [](const Tensors& x) { return Tensors{x[0] + x[1], PlainNorm(x[0] + x[1], x[2])}; },
        {Randn({700, size}, 1), Randn({700, size}, 2), Randn({size}, 3)});
  }
}

constexpr int64_t kBatch = 3;

RopeTables Tables(int64_t sequence, int64_t head_dim) {
  const at::Tensor angles = at::outer(at::arange(sequence, at::kFloat), Randn({head_dim / 2}, 50));
  return {angles.cos(), angles.sin()};
}

TEST(FusedOps, SplitAndRotateIsThePlainOne) {
  for (const int64_t head_dim : {2, 10, 32, 64}) {
    const RopeTables rope = Tables(40, head_dim);
    const auto plain = [&](const Tensors& x) {
      const Tensors parts = x[0].view({kBatch, 40, 8, head_dim}).split_with_sizes({4, 2, 2}, 2);
      const auto rotated = [&](const at::Tensor& part) {
        const at::Tensor cos = rope.cos.unsqueeze(1);
        const at::Tensor sin = rope.sin.unsqueeze(1);
        const Tensors halves = part.chunk(2, 3);
        return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, 3)
            .transpose(1, 2);
      };
      return Tensors{rotated(parts[0]), rotated(parts[1]), parts[2].transpose(1, 2)};
    };
    const auto fused = [&](const Tensors& x) {
      const AttentionInputs parts = SplitAndRotate(x[0], rope, 4, 2);
      return Tensors{parts.q, parts.k, parts.v};
    };
    ExpectSame(fused, plain, {Randn({kBatch * 40, 8 * head_dim}, 1)});
  }
}

TEST(FusedOps, CausalAttentionIsThePlainOne) {
  const auto fused = [](const Tensors& x) { return Tensors{CausalAttention({x[0], x[1], x[2]})}; };
  const auto plain = [](const Tensors& x) {
    const int64_t shared = x[0].size(1) / x[1].size(1);
    const at::Tensor mixed = at::scaled_dot_product_attention(
        x[0], x[1].repeat_interleave(shared, 1), x[2].repeat_interleave(shared, 1), {}, 0.0, true);
    return Tensors{mixed.transpose(1, 2).reshape({x[0].size(0) * x[0].size(2), -1})};
  };
  // Heads that share and that do not; the last one takes several blocks of queries and sequences
  // one by one. Heads of 32 and 64 go to the kernel where there is one.
  for (const int64_t head_dim : {10, 32, 64}) {
    for (const auto& [heads, shared, sequence] :
         {std::array<int64_t, 3>{4, 1, 33}, {4, 2, 20}, {3, 3, 2}, {4, 2, 64}, {2, 2, 1100}}) {
      SCOPED_TRACE(testing::Message() << head_dim << ", sequence " << sequence);
      ExpectSame(fused, plain,
                 {Randn({kBatch, heads, sequence, head_dim}, 1),
                  Randn({kBatch, heads / shared, sequence, head_dim}, 2),
                  Randn({kBatch, heads / shared, sequence, head_dim}, 3)});
    }
  }
}

// Bits and all: a head is computed on one thread, from itself alone.
TEST(FusedOps, CausalAttentionIsTheSameWhereItStandsInTheBatch) {
  const auto run_with = [](int64_t copies) {
    Tensors inputs;
    for (int seed = 1; seed <= 3; ++seed) {
      inputs.push_back(Randn({1, seed == 1 ? 4 : 2, 70, 64}, seed)
                           .repeat({copies, 1, 1, 1})
                           .to(at::kBFloat16)
                           .requires_grad_());
    }
    const at::Tensor mixed = CausalAttention({inputs[0], inputs[1], inputs[2]});
    mixed.sum().backward();
    Tensors results = {mixed.detach().view({copies, 70, -1})};
    for (const at::Tensor& input : inputs) results.push_back(input.grad());
    return results;
  };
  const Tensors one = run_with(1);
  const Tensors three = run_with(3);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(at::equal(three[i].narrow(0, 2, 1), one[i])) << "tensor " << i;
  }
}

TEST(FusedOps, TheFirstTokenAttendsToItself) {
  const at::Tensor v = Randn({kBatch, 2, 1, 10}, 1);
  const at::Tensor q = Randn({kBatch, 4, 1, 10}, 2);
  EXPECT_TRUE(at::equal(CausalAttention({q, Randn({kBatch, 2, 1, 10}, 3), v}),
                        v.repeat_interleave(2, 1).reshape({kBatch, 40})));
}

void ExpectCrossEntropy(int64_t tokens, int64_t vocab_size) {
  const at::Tensor targets =
      at::randint(vocab_size, {tokens}, at::detail::createCPUGenerator(9), at::kLong);
  ExpectSame([&](const Tensors& x) { return Tensors{MeanCrossEntropy(x[0], x[1], targets)}; },
             [&](const Tensors& x) {
               // torch's own sum over 100,000 values is not good enough in float32.
               const at::Tensor logits = at::linear(x[0].to(at::kDouble), x[1].to(at::kDouble));
               return Tensors{at::cross_entropy_loss(logits, targets)};
             },
             {Randn({tokens, 12}, 1), Randn({vocab_size, 12}, 2)});
}

TEST(FusedOps, CrossEntropyIsThePlainOne) {
  ExpectCrossEntropy(29, 19);
  ExpectCrossEntropy(1, 1000);
}

TEST(FusedOps, CrossEntropyInChunksIsThePlainOne) { ExpectCrossEntropy(520, 100000); }

void ExpectDistilledLoss(int64_t tokens, int64_t vocab_size, double kl_weight) {
  const at::Tensor targets =
      at::randint(vocab_size, {tokens}, at::detail::createCPUGenerator(9), at::kLong);
  // A teacher of another width, some way from the student.
  const at::Tensor teacher_hidden = Randn({tokens, 7}, 3);
  const at::Tensor teacher_head = 2 * Randn({vocab_size, 7}, 4);
  ExpectSame(
      [&](const Tensors& x) {
        LossParts parts;
        const auto type = x[0].scalar_type();
        const at::Tensor loss = MeanDistilledLoss(x[0], x[1], targets,
                                                  {.hidden = teacher_hidden.to(type),
                                                   .head = teacher_head.to(type),
                                                   .kl_weight = kl_weight},
                                                  &parts);
        EXPECT_NEAR(loss.item<float>(),
                    (1 - kl_weight) * parts.cross_entropy + kl_weight * parts.kl, 1e-5);
        return Tensors{loss};
      },
      [&](const Tensors& x) {
        const auto type = x[0].scalar_type();
        const auto logits = [type](const at::Tensor& hidden, const at::Tensor& head) {
          return at::linear(hidden.to(type).to(at::kDouble), head.to(type).to(at::kDouble));
        };
        const at::Tensor student = logits(x[0], x[1]);
        const at::Tensor log_q = at::log_softmax(logits(teacher_hidden, teacher_head), 1);
        const at::Tensor kl = (log_q.exp() * (log_q - at::log_softmax(student, 1))).sum(1).mean();
        return Tensors{(1 - kl_weight) * at::cross_entropy_loss(student, targets) + kl_weight * kl};
      },
      {Randn({tokens, 12}, 1), Randn({vocab_size, 12}, 2)});
}

TEST(FusedOps, DistilledLossIsThePlainOne) {
  for (const double kl_weight : {0.0, 0.3, 1.0}) ExpectDistilledLoss(29, 19, kl_weight);
  ExpectDistilledLoss(1, 1000, 0.5);
}

TEST(FusedOps, DistilledLossInChunksIsThePlainOne) { ExpectDistilledLoss(520, 100000, 0.5); }

TEST(FusedOps, ATeacherLikeTheStudentIsNoFartherThanRounding) {
  const at::Tensor hidden = Randn({29, 12}, 1);
  const at::Tensor head = Randn({5000, 12}, 2);
  LossParts parts;
  MeanDistilledLoss(hidden, head, at::arange(29, at::kLong),
                    {.hidden = hidden, .head = head, .kl_weight = 1}, &parts);
  EXPECT_NEAR(parts.kl, 0, 1e-6);
}

TEST(FusedOps, WhatIsNotFiniteStaysSo) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  at::Tensor hidden = Randn({4, 12}, 1);
  hidden[2][3] = kNan;
  const at::Tensor targets = at::arange(4, at::kLong);
  const at::Tensor head = Randn({19, 12}, 2);
  EXPECT_TRUE(std::isnan(MeanCrossEntropy(hidden, head, targets).item<float>()));
  EXPECT_TRUE(std::isnan(
      MeanCrossEntropy(hidden.to(at::kBFloat16), head.to(at::kBFloat16), targets).item<float>()));
  const at::Tensor normed = RmsNorm(hidden, Randn({12}, 3), 1e-5, at::kBFloat16);
  EXPECT_TRUE(normed[2].isnan().all().item<bool>());
  EXPECT_FALSE(normed[1].isnan().any().item<bool>());
}

TEST(FusedOps, WhatTheyCannotComputeIsRefused) {
  EXPECT_THROW(RmsNorm(Randn({3, 4}, 1), Randn({5}, 1), 1e-5, at::kFloat), c10::Error);
  EXPECT_THROW(AddRmsNorm(Randn({3, 4}, 1), Randn({2, 4}, 1), Randn({4}, 1), 1e-5), c10::Error);
  EXPECT_THROW(SplitAndRotate(Randn({80, 9}, 1), Tables(40, 2), 4, 2), c10::Error);
  EXPECT_THROW(
      CausalAttention({Randn({1, 3, 5, 4}, 1), Randn({1, 2, 5, 4}, 1), Randn({1, 2, 5, 4}, 1)}),
      c10::Error);
  EXPECT_THROW(MeanCrossEntropy(Randn({3, 4}, 1), Randn({9, 4}, 1), at::arange(2, at::kLong)),
               c10::Error);
  LossParts parts;
  EXPECT_THROW(MeanDistilledLoss(Randn({3, 4}, 1), Randn({9, 4}, 1), at::arange(3, at::kLong),
                                 {.hidden = Randn({3, 5}, 1), .head = Randn({8, 5}, 1)}, &parts),
               c10::Error);
}

}  // namespace
}  // namespace stocha
