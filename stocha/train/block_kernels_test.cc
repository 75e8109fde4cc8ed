// The product and attention kernels of every ISA this machine has, also those that it does not
// select, and by an emulator AMX's, against sums in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "stocha/base/dtype.h"
#include "stocha/kernels/amx_emulator.h"
#include "stocha/kernels/isa.h"
#include "stocha/train/attention_kernel.h"
#include "stocha/train/product_kernel.h"
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

using Values = std::vector<uint16_t>;

Values SomeValues(int64_t count, int seed) {
  Values values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] =
        F32ToBF16(static_cast<float>(std::sin(seed + 1.7 * static_cast<double>(i * (i % 97)))));
  }
  return values;
}

// What the processor must have, or have emulated, for some kernels.
enum class Needs : uint8_t { kAvx2, kAvx512, kAvx512Bf16, kAmx };

// What is missing here; empty where nothing is.
std::string Missing(Needs needs) {
#if defined(__x86_64__)
  const std::vector<Isa> isas = EmulatedIsas();
  const auto has = [&isas](Isa isa) { return std::ranges::find(isas, isa) != isas.end(); };
  if (needs == Needs::kAvx2) return has(Isa::kAvx2) ? "" : "no AVX2";
  if (!has(Isa::kAvx512)) return "no AVX-512";
  if (needs == Needs::kAvx512Bf16 && !HasAvx512Bf16()) return "no AVX-512 with bfloat16";
  if (needs == Needs::kAmx && !has(Isa::kAmx)) {
    return "no AMX, nor AVX-512 with bfloat16 to emulate it";
  }
  return "";
#else
  static_cast<void>(needs);
  return "not an x86 processor";
#endif
}

template <typename Kernel>
struct Case {
  std::string name;
  Needs needs;
  const Kernel* kernel;
};

template <typename Kernel>
class KernelTest : public testing::TestWithParam<Case<Kernel>> {
 protected:
  void SetUp() override {
    const std::string missing = Missing(this->GetParam().needs);
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  const Kernel& kernel() const { return *this->GetParam().kernel; }
};

using ProductKernelTest = KernelTest<ProductKernel>;
using AttentionKernelTest = KernelTest<AttentionKernel>;

#if defined(__x86_64__)
constexpr auto kNameOf = [](const auto& test) { return test.param.name; };
INSTANTIATE_TEST_SUITE_P(
    Isas, ProductKernelTest,
    testing::Values(Case<ProductKernel>{"avx2", Needs::kAvx2, &kProductKernelAvx2},
                    Case<ProductKernel>{"avx512", Needs::kAvx512, &kProductKernelAvx512},
                    Case<ProductKernel>{"amx", Needs::kAmx, &kProductKernelAmx}),
    kNameOf);
INSTANTIATE_TEST_SUITE_P(
    Isas, AttentionKernelTest,
    testing::Values(Case<AttentionKernel>{"avx512", Needs::kAvx512, &kAttentionKernelAvx512},
                    Case<AttentionKernel>{"avx512bf16", Needs::kAvx512Bf16,
                                          &kAttentionKernelAvx512Bf16},
                    Case<AttentionKernel>{"amx", Needs::kAmx, &kAttentionKernelAmx}),
    kNameOf);
#else
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ProductKernelTest);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AttentionKernelTest);
#endif

std::unique_ptr<void, decltype(&std::free)> Scratch(int64_t bytes) {
  return {std::aligned_alloc(64, (bytes + 63) / 64 * 64), &std::free};
}

// [rows, columns], in memory three values from the end of a row to the next; what is at (row,
// column).
struct Matrix {
  Matrix(int64_t rows, int64_t columns, bool turned, int seed)
      : stride((turned ? rows : columns) + 3),
        values(SomeValues((turned ? columns : rows) * stride, seed)),
        view{.values = values.data(), .stride = stride, .turned = turned} {}
  double At(int64_t row, int64_t column) const {
    return BF16ToF32(values[view.turned ? column * stride + row : row * stride + column]);
  }
  int64_t stride;
  Values values;
  ProductMatrix view;
};

// `at_once`: parts of the rows.
void ExpectProduct(const ProductKernel& kernel, int64_t rows, int64_t columns, int64_t depth,
                   int layout, int64_t at_once) {
  SCOPED_TRACE(testing::Message() << rows << " x " << columns << ", " << depth << " deep, layout "
                                  << layout);
  const Matrix left(rows, depth, (layout & 1) != 0, 1);
  const Matrix right(depth, columns, (layout & 2) != 0, 2);
  Values result(rows * columns);
  ProductCall call = {.rows = rows,
                      .columns = columns,
                      .depth = depth,
                      .left = left.view,
                      .right = right.view,
                      .result = result.data(),
                      .result_turned = (layout & 4) != 0};
  const auto packed = Scratch(kernel.packed_bytes(call));
  for (int64_t part = 0; part < call.DepthParts(); ++part) {
    kernel.pack_right(call, part, packed.get());
  }
  const auto scratch = Scratch(kernel.scratch_bytes(call, at_once));
  for (int64_t part = 0; part < call.RowParts(); part += at_once) {
    kernel.multiply(call, part, std::min(at_once, call.RowParts() - part), packed.get(),
                    scratch.get());
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      double size = 0;
      for (int64_t k = 0; k < depth; ++k) {
        const double product = left.At(i, k) * right.At(k, j);
        sum += product;
        size += std::abs(product);
      }
      const double got = BF16ToF32(result[call.result_turned ? j * rows + i : i * columns + j]);
      ASSERT_NEAR(got, sum, std::abs(sum) / 256 + 1e-6 * size) << i << ", " << j;
    }
  }
}

TEST_P(ProductKernelTest, AProductIsThatOfDoublesHoweverMatricesLie) {
  for (int layout = 0; layout < 8; ++layout) {
    for (const int64_t at_once : {1, 2}) {
      ExpectProduct(kernel(), 1, 1, 1, layout, at_once);
      ExpectProduct(kernel(), 33, 7, 40, layout, at_once);
      ExpectProduct(kernel(), 130, 65, 32, layout, at_once);
      ExpectProduct(kernel(), 64, 31, 700, layout, at_once);  // the depth in several parts
    }
  }
}

// One key and value head, its query heads, and what attention makes of them, in double.
struct PlainAttention {
  PlainAttention(int64_t sequence, int64_t head_dim, int64_t queries)
      : q(SomeValues(queries * sequence * head_dim, 1)),
        k(SomeValues(sequence * head_dim, 2)),
        v(SomeValues(sequence * head_dim, 3)),
        grad_mixed(SomeValues(queries * sequence * head_dim, 4)),
        mixed(q.size()),
        grad_q(q.size()),
        grad_k(k.size()),
        grad_v(v.size()) {
    const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
    const auto dot = [&](const Values& a, int64_t a_row, const Values& b, int64_t b_row) {
      double sum = 0;
      for (int64_t d = 0; d < head_dim; ++d) {
        sum += static_cast<double>(BF16ToF32(a[a_row * head_dim + d])) *
               BF16ToF32(b[b_row * head_dim + d]);
      }
      return sum;
    };
    for (int64_t query = 0; query < queries; ++query) {
      for (int64_t i = 0; i < sequence; ++i) {
        const int64_t row = query * sequence + i;  // of q
        const int64_t out = i * queries + query;   // of mixed
        std::vector<double> p(i + 1);
        double sum = 0;
        for (int64_t j = 0; j <= i; ++j) sum += p[j] = std::exp(scale * dot(q, row, k, j));
        double mean = 0;
        for (int64_t j = 0; j <= i; ++j) {
          p[j] /= sum;
          mean += p[j] * dot(grad_mixed, out, v, j);
        }
        for (int64_t j = 0; j <= i; ++j) {
          const double grad = scale * p[j] * (dot(grad_mixed, out, v, j) - mean);
          for (int64_t d = 0; d < head_dim; ++d) {
            mixed[out * head_dim + d] += p[j] * BF16ToF32(v[j * head_dim + d]);
            grad_v[j * head_dim + d] += p[j] * BF16ToF32(grad_mixed[out * head_dim + d]);
            grad_q[row * head_dim + d] += grad * BF16ToF32(k[j * head_dim + d]);
            grad_k[j * head_dim + d] += grad * BF16ToF32(q[row * head_dim + d]);
          }
        }
      }
    }
  }
  Values q, k, v, grad_mixed;
  std::vector<double> mixed, grad_q, grad_k, grad_v;
};

// As far from what it should be, as a whole, as bfloat16 values are.
void ExpectClose(const Values& got, const std::vector<double>& expected) {
  double error = 0;
  double size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(BF16ToF32(got[i]) - expected[i], 2);
    size += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(error), 0.01 * std::sqrt(size));
}

TEST_P(AttentionKernelTest, AttentionIsThatOfDoubles) {
  // Less than a block, some, and more than a group of blocks of keys.
  for (const int64_t sequence : {5, 70, 300}) {
    SCOPED_TRACE(testing::Message() << "sequence " << sequence);
    constexpr int64_t kHeadDim = 64;
    constexpr int64_t kQueries = 2;
    const PlainAttention plain(sequence, kHeadDim, kQueries);
    Values mixed(plain.q.size());
    Values grad_q(plain.q.size());
    Values grad_k(plain.k.size());
    Values grad_v(plain.v.size());
    std::vector<float> log_sums(kQueries * sequence);
    const AttentionHead head = {.sequence = sequence,
                                .head_dim = kHeadDim,
                                .queries = kQueries,
                                .q = plain.q.data(),
                                .k = plain.k.data(),
                                .v = plain.v.data(),
                                .mixed = mixed.data(),
                                .mixed_stride = kQueries * kHeadDim,
                                .log_sums = log_sums.data(),
                                .grad_mixed = plain.grad_mixed.data(),
                                .grad_q = grad_q.data(),
                                .grad_k = grad_k.data(),
                                .grad_v = grad_v.data()};
    const auto scratch = Scratch(static_cast<int64_t>(kernel().scratch_bytes(head)));
    kernel().forward(head, scratch.get());
    ExpectClose(mixed, plain.mixed);
    kernel().backward(head, scratch.get());
    ExpectClose(grad_q, plain.grad_q);
    ExpectClose(grad_k, plain.grad_k);
    ExpectClose(grad_v, plain.grad_v);
  }
}

}  // namespace
}  // namespace stocha
