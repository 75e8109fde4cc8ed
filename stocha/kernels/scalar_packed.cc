// The specification of the packed kernels (kernels.h): every sum in the order that all sets share,
// so that all of them give these bits. Compiled without contraction, like scalar.cc.
#include <algorithm>
#include <cmath>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed_values.h"

namespace stocha {
namespace {

template <typename T>
T* Row(const Rows<T>& rows, int64_t r) {
  return rows.data + rows.stride * (rows.index == nullptr ? r : rows.index[r]);
}

// One vector of QuantizedRows.
struct Vector {
  Vector(const QuantizedRows& x, int64_t t) {
    const int64_t v = x.index == nullptr ? t : x.index[t];
    values = x.values + v * QuantizedRows::Stride(x.n);
    const int64_t offset = v * QuantizedRows::BlockStride(x.n);
    scale = x.scale + offset;
    sum = x.sum + offset;
    energy = x.energy + offset;
  }
  // The value at i.
  int operator[](int64_t i) const {
    return values[i / 128 * 128 + i % 32 / 16 * 64 + i % 128 / 32 * 16 + i % 16];
  }
  const int8_t* values;
  const float* scale;
  const int32_t* sum;
  const float* energy;
};

// kernels.h's order of a sum over blocks.
struct BlockSum {
  void Add(int64_t block, float a, float b) {
    float& partial = partials[block % kPartialSums];
    partial = std::fma(a, b, partial);
  }
  float Total() const {
    float s[kPartialSums];
    std::copy(partials, partials + kPartialSums, s);
    for (int width = kPartialSums / 2; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) s[i] += s[i + width];
    }
    return s[0];
  }
  float partials[kPartialSums] = {};
};

// Block `index` of a step of a row of n values.
struct Block {
  Block(PackedFormat format, const uint8_t* row, int64_t n, int64_t b)
      : step(StepOf(format, row, b / kStepBlocks)),
        index(b % kStepBlocks),
        blocks(StepBlocks(n, b / kStepBlocks)),
        scales(step + ValueBytes(format, blocks)) {}
  int Q8(int64_t j) const { return step[Q8DotOffset(index * kBlock + j, blocks)] - 128; }
  int Q8Axpy(int64_t j) const { return static_cast<int8_t>(step[index * kBlock + j]); }
  int Q4(int64_t j) const { return Nibble(step, index * kBlock + j); }
  float Scale() const { return LoadF16(scales + 2 * index); }
  const uint8_t* step;
  int64_t index;
  int64_t blocks;
  const uint8_t* scales;
};

// The sum of q(j) x[32 b + j], j < 32, exact.
template <typename Q>
int32_t DotBlock(int64_t b, const Vector& x, const Q& q) {
  int32_t sum = 0;
  for (int64_t j = 0; j < kBlock; ++j) sum += q(j) * x[b * kBlock + j];
  return sum;
}

// Each adds block b of the product of a row and a vector, or factor times its weights to y [32].
struct Q8 {
  static void AddBlock(const uint8_t* row, const Vector& x, int64_t n, int64_t b, BlockSum& sum) {
    const Block block(PackedFormat::kQ8_0, row, n, b);
    const int32_t dot = DotBlock(b, x, [&](int64_t j) { return block.Q8(j); });
    sum.Add(b, static_cast<float>(dot), block.Scale() * x.scale[b]);
  }
  static void AxpyBlock(const uint8_t* row, float factor, int64_t n, int64_t b, float* y) {
    const Block block(PackedFormat::kQ8_0, row, n, b);
    const float scale = factor * block.Scale();
    for (int64_t j = 0; j < kBlock; ++j) {
      y[j] = std::fma(scale, static_cast<float>(block.Q8Axpy(j)), y[j]);
    }
  }
};

struct Q4 {
  static void AddBlock(const uint8_t* row, const Vector& x, int64_t n, int64_t b, BlockSum& sum) {
    const Block block(PackedFormat::kQ4_0, row, n, b);
    const int32_t dot = DotBlock(b, x, [&](int64_t j) { return block.Q4(j) - 8; });
    sum.Add(b, static_cast<float>(dot), block.Scale() * x.scale[b]);
  }
  static void AxpyBlock(const uint8_t* row, float factor, int64_t n, int64_t b, float* y) {
    const Block block(PackedFormat::kQ4_0, row, n, b);
    const float scale = factor * block.Scale();
    for (int64_t j = 0; j < kBlock; ++j) {
      y[j] = std::fma(scale, static_cast<float>(block.Q4(j) - 8), y[j]);
    }
  }
};

struct Q4K {
  static void AddBlock(const uint8_t* row, const Vector& x, int64_t n, int64_t b, BlockSum& sum) {
    const Block block(PackedFormat::kQ4_K, row, n, b);
    const BlockQ4K weights(block.step, block.blocks, block.index);
    const int32_t dot = DotBlock(b, x, [&](int64_t j) { return block.Q4(j); });
    sum.Add(b, static_cast<float>(dot), weights.scale * x.scale[b]);
    sum.Add(b, static_cast<float>(x.sum[b]), -(weights.min * x.scale[b]));
  }
  static void AxpyBlock(const uint8_t* row, float factor, int64_t n, int64_t b, float* y) {
    const Block block(PackedFormat::kQ4_K, row, n, b);
    const BlockQ4K weights(block.step, block.blocks, block.index);
    for (int64_t j = 0; j < kBlock; ++j) {
      const float product = weights.scale * static_cast<float>(block.Q4(j));
      y[j] = std::fma(factor, product - weights.min, y[j]);
    }
  }
};

struct Q6K {
  static void AddBlock(const uint8_t* row, const Vector& x, int64_t n, int64_t b, BlockSum& sum) {
    const Block block(PackedFormat::kQ6_K, row, n, b);
    const BlockQ6K weights(block.step, block.blocks, block.index);
    const int32_t dot = DotBlock(b, x, [&](int64_t j) {
      return weights.scale[j / 16] * (SixBits(block.step, block.blocks, block.index * 32 + j) - 32);
    });
    sum.Add(b, static_cast<float>(dot), weights.d * x.scale[b]);
  }
};

// y[i] += factor w[i], i < n
template <typename Format>
void AddRow(const uint8_t* row, float factor, int64_t n, float* y) {
  for (int64_t b = 0; b < n / kBlock; ++b) Format::AxpyBlock(row, factor, n, b, y + b * kBlock);
}

template <typename Format>
void Dot(const Rows<const uint8_t>& weights, const QuantizedRows& x, float* out,
         int64_t out_stride) {
  for (int64_t t = 0; t < x.count; ++t) {
    const Vector vector(x, t);
    for (int64_t r = 0; r < weights.count; ++r) {
      BlockSum sum;
      for (int64_t b = 0; b < x.n / kBlock; ++b) {
        Format::AddBlock(Row(weights, r), vector, x.n, b, sum);
      }
      out[t * out_stride + r] = sum.Total();
    }
  }
}

template <typename Format>
void Axpy(const Rows<const uint8_t>& weights, const float* scale, int64_t scale_stride,
          const Rows<float>& y, int64_t n) {
  for (int64_t t = 0; t < y.count; ++t) {
    for (int64_t r = 0; r < weights.count; ++r) {
      AddRow<Format>(Row(weights, r), scale[t * scale_stride + r], n, Row(y, t));
    }
  }
}

template <typename Format>
void Ffn(const Rows<const uint8_t>& up, const Rows<const uint8_t>& down, const float* act,
         const QuantizedRows& x, float* y) {
  const QuantizedRows first = {.values = x.values,
                               .scale = x.scale,
                               .sum = x.sum,
                               .first_sum = x.first_sum,
                               .energy = x.energy,
                               .n = x.n,
                               .index = x.index,
                               .count = 1};
  for (int64_t r = 0; r < up.count; ++r) {
    float hidden = 0;
    Dot<Format>({.data = Row(up, r), .count = 1}, first, &hidden, 1);
    AddRow<Format>(Row(down, r), act[r] * hidden, x.n, y);
  }
}

void DotPlanes(const Rows<const uint8_t>& high, const Rows<const uint8_t>& low,
               const QuantizedRows& x, float* out, int64_t out_stride) {
  for (int64_t t = 0; t < x.count; ++t) {
    const Vector vector(x, t);
    for (int64_t r = 0; r < high.count; ++r) {
      const uint8_t* low_row = Row(low, r);
      BlockSum sum;
      for (int64_t b = 0; b < x.n / kBlock; ++b) {
        const Block block(PackedFormat::kQ4_0, Row(high, r), x.n, b);
        const int32_t dot = DotBlock(b, vector, [&](int64_t j) {
          return block.Q4(j) * 16 + Nibble(low_row, b * kBlock + j) - 128;
        });
        sum.Add(b, static_cast<float>(dot), block.Scale() * vector.scale[b]);
      }
      out[t * out_stride + r] = sum.Total();
    }
  }
}

// The estimate is taken in halves: 2 (16 high + 7.5 - 128) = 32 high - 241.
void Screen(const Rows<const uint8_t>& high, const QuantizedRows& x, float* estimate,
            float* deviation, int64_t out_stride) {
  for (int64_t t = 0; t < x.count; ++t) {
    const Vector vector(x, t);
    for (int64_t r = 0; r < high.count; ++r) {
      BlockSum sum;
      BlockSum variance;
      for (int64_t b = 0; b < x.n / kBlock; ++b) {
        const Block block(PackedFormat::kQ4_0, Row(high, r), x.n, b);
        const int32_t dot = DotBlock(b, vector, [&](int64_t j) { return block.Q4(j); });
        const float scale = block.Scale() * vector.scale[b];
        sum.Add(b, static_cast<float>(32 * dot - 241 * vector.sum[b]), scale);
        variance.Add(b, scale * scale, vector.energy[b]);
      }
      estimate[t * out_stride + r] = 0.5F * sum.Total();
      deviation[t * out_stride + r] = std::sqrt(kScreenVariance * variance.Total());
    }
  }
}

}  // namespace

void ScalarQuantize(const float* x, int64_t n, const QuantizedVector& out) {
  std::fill_n(out.values, QuantizedRows::Stride(n), int8_t{0});
  for (int64_t b = 0; b < QuantizedRows::BlockStride(n); ++b) {
    out.scale[b] = 0;
    out.sum[b] = 0;
    out.first_sum[b] = 0;
    out.energy[b] = 0;
    if (b * kBlock >= n) continue;
    float largest = 0;
    for (int64_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::abs(x[b * kBlock + i]));
    bool finite = true;
    for (int64_t i = 0; i < kBlock; ++i) finite = finite && std::isfinite(x[b * kBlock + i]);
    if (!finite) {
      out.scale[b] = NAN;
      continue;
    }
    out.scale[b] = largest / 127;
    // Where the largest is so small that its inverse overflows, the block is zero.
    const float inverse = largest < 1e-30F ? 0 : 127 / largest;
    int32_t squares = 0;
    for (int64_t i = 0; i < kBlock; ++i) {
      const auto q = static_cast<int32_t>(std::nearbyint(x[b * kBlock + i] * inverse));
      out.values[b / 4 * 128 + i / 16 * 64 + b % 4 * 16 + i % 16] = static_cast<int8_t>(q);
      out.sum[b] += q;
      if (i < kBlock / 2) out.first_sum[b] += q;
      squares += q * q;
    }
    out.energy[b] = static_cast<float>(squares);
  }
}

const PackedKernels kScalarQ8_0 = {.dot = Dot<Q8>, .axpy = Axpy<Q8>, .ffn = Ffn<Q8>};
const PackedKernels kScalarQ4_0 = {.dot = Dot<Q4>, .axpy = Axpy<Q4>, .ffn = Ffn<Q4>};
const PackedKernels kScalarQ4_K = {.dot = Dot<Q4K>, .axpy = Axpy<Q4K>, .ffn = Ffn<Q4K>};
const PackedDot kScalarQ6_K = Dot<Q6K>;
const PlaneKernels kScalarPlanes = {.dot = DotPlanes, .screen = Screen};

}  // namespace stocha
