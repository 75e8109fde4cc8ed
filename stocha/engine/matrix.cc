#include "stocha/engine/matrix.h"

#include <algorithm>

#include "stocha/base/dtype.h"

namespace stocha {
namespace {

template <typename W>
Rows<const W> SelectRows(const void* data, int64_t stride, const RowSet& set) {
  const int64_t offset = set.index == nullptr ? set.first * stride : 0;
  return {.data = static_cast<const W*>(data) + offset,
          .stride = stride,
          .index = set.index,
          .count = set.count};
}

Rows<const uint8_t> PackedRows(const Matrix& matrix, const RowSet& set) {
  return SelectRows<uint8_t>(matrix.data, matrix.stride, set);
}

const PackedKernels& PackedOf(const KernelTable& kernels, WeightType type) {
  if (type == WeightType::kQ8_0) return kernels.q8_0;
  return type == WeightType::kQ4_0 ? kernels.q4_0 : kernels.q4_k;
}

const TileKernels::Packed& TilesOf(const TileKernels& tiles, WeightType type) {
  if (type == WeightType::kQ8_0) return tiles.q8_0;
  return type == WeightType::kQ4_0 ? tiles.q4_0 : tiles.q4_k;
}

void DotTiles(const TileKernels& tiles, const Matrix& matrix, const RowSet& rows,
              const TileVectors& x, float* out, int64_t out_stride) {
  if (matrix.type == WeightType::kPlanes) {
    return tiles.planes(PackedRows(matrix, rows),
                        SelectRows<uint8_t>(matrix.low, matrix.low_stride, rows), x, out,
                        out_stride);
  }
  TilesOf(tiles, matrix.type).dot(PackedRows(matrix, rows), x, out, out_stride);
}

void DotOnce(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows,
             const Input& input, float* out, int64_t out_stride) {
  switch (matrix.type) {
    case WeightType::kF32:
      return kernels.f32.dot(SelectRows<float>(matrix.data, matrix.stride, rows), input.x,
                             matrix.cols, out, out_stride);
    case WeightType::kBF16:
      return kernels.bf16.dot(SelectRows<uint16_t>(matrix.data, matrix.stride, rows), input.x,
                              matrix.cols, out, out_stride);
    case WeightType::kPlanes:
      return kernels.planes.dot(PackedRows(matrix, rows),
                                SelectRows<uint8_t>(matrix.low, matrix.low_stride, rows),
                                input.quantized, out, out_stride);
    case WeightType::kQ6_K:
      return kernels.q6_k(PackedRows(matrix, rows), input.quantized, out, out_stride);
    default:
      return PackedOf(kernels, matrix.type)
          .dot(PackedRows(matrix, rows), input.quantized, out, out_stride);
  }
}

}  // namespace

PackedFormat FormatOf(WeightType type) {
  switch (type) {
    case WeightType::kQ4_0:
      return PackedFormat::kQ4_0;
    case WeightType::kQ4_K:
      return PackedFormat::kQ4_K;
    case WeightType::kQ6_K:
      return PackedFormat::kQ6_K;
    default:
      return PackedFormat::kQ8_0;
  }
}

std::string_view WeightTypeName(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "f32";
    case WeightType::kBF16:
      return "bf16";
    case WeightType::kQ8_0:
      return "q8_0";
    case WeightType::kQ4_0:
      return "q4_0";
    case WeightType::kQ4_K:
      return "q4_k";
    case WeightType::kQ6_K:
      return "q6_k";
    case WeightType::kPlanes:
      return "q8_0 planes";
  }
  return "?";
}

int64_t Matrix::RowBytes() const {
  switch (type) {
    case WeightType::kF32:
      return cols * 4;
    case WeightType::kBF16:
      return cols * 2;
    case WeightType::kPlanes:
      return HighPlaneBytes(cols) + LowPlaneBytes(cols);
    default:
      return stocha::RowBytes(FormatOf(type), cols);
  }
}

Input Input::Only(const int32_t* t) const {
  Input one = *this;
  one.x.index = t;
  one.x.count = 1;
  one.quantized.index = t;
  one.quantized.count = 1;
  one.tiles = {};
  if (fine.count == 0) return one;
  one.fine.index += ptrdiff_t{2} * *t;
  one.fine.count = 2;
  return one;
}

QuantizedBuffer::QuantizedBuffer(int64_t vectors, int64_t n, QuantizedDepth depth)
    : n_(n), vectors_(vectors) {
  if (n % kBlock != 0) return;
  if (depth == QuantizedDepth::kFine) {
    for (int64_t t = 0; t < vectors_; ++t) {
      pairs_.push_back(static_cast<int32_t>(t));
      pairs_.push_back(static_cast<int32_t>(vectors_ + t));
    }
    vectors *= 2;
  }
  const int64_t blocks = vectors * QuantizedRows::BlockStride(n);
  values_ = Buffer<int8_t>(vectors * QuantizedRows::Stride(n));
  scale_ = Buffer<float>(blocks);
  sum_ = Buffer<int32_t>(blocks);
  first_sum_ = Buffer<int32_t>(blocks);
  energy_ = Buffer<float>(blocks);
}

void QuantizedBuffer::Set(const KernelTable& kernels, int64_t t, const float* x) {
  if (values_.size() == 0) return;  // no matrix of n columns is packed
  SetAt(kernels, t, x);
  if (pairs_.empty()) return;
  const int8_t* values = values_.data() + t * QuantizedRows::Stride(n_);
  const float* scale = scale_.data() + t * QuantizedRows::BlockStride(n_);
  std::vector<float> rest(static_cast<size_t>(n_));
  for (int64_t i = 0; i < n_; i += kBlock / 2) {
    const int8_t* half = values + i / 128 * 128 + i % kBlock / 16 * 64 + i % 128 / kBlock * 16;
    for (int64_t j = 0; j < kBlock / 2; ++j) {
      rest[i + j] = x[i + j] - scale[i / kBlock] * static_cast<float>(half[j]);
    }
  }
  SetAt(kernels, vectors_ + t, rest.data());
}

void QuantizedBuffer::SetAt(const KernelTable& kernels, int64_t at, const float* x) {
  const int64_t block = at * QuantizedRows::BlockStride(n_);
  kernels.quantize(x, n_,
                   {.values = values_.data() + at * QuantizedRows::Stride(n_),
                    .scale = scale_.data() + block,
                    .sum = sum_.data() + block,
                    .first_sum = first_sum_.data() + block,
                    .energy = energy_.data() + block});
}

QuantizedRows QuantizedBuffer::Vectors(int64_t count) const {
  return {.values = values_.data(),
          .scale = scale_.data(),
          .sum = sum_.data(),
          .first_sum = first_sum_.data(),
          .energy = energy_.data(),
          .n = n_,
          .count = count};
}

QuantizedRows QuantizedBuffer::FineVectors(int64_t count) const {
  if (pairs_.empty()) return {};
  QuantizedRows pairs = Vectors(2 * count);
  pairs.index = pairs_.data();
  return pairs;
}

void Dot(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows, const Input& input,
         float* out, int64_t out_stride) {
  if (IsPacked(matrix.type) && input.tiles.count != 0) {
    return DotTiles(*kernels.tiles, matrix, rows, input.tiles, out, out_stride);
  }
  if (!IsPacked(matrix.type) || input.fine.count == 0) {
    return DotOnce(kernels, matrix, rows, input, out, out_stride);
  }
  constexpr int64_t kRows = 256;  // at a time
  Input pairs = input;
  pairs.quantized = input.fine;
  std::vector<float> products(static_cast<size_t>(pairs.quantized.count * kRows));
  for (int64_t begin = 0; begin < rows.count; begin += kRows) {
    RowSet part = {.count = std::min(kRows, rows.count - begin), .first = rows.first + begin};
    if (rows.index != nullptr) part.index = rows.index + begin;
    DotOnce(kernels, matrix, part, pairs, products.data(), part.count);
    for (int64_t t = 0; t < input.quantized.count; ++t) {
      const float* product = products.data() + 2 * t * part.count;
      float* sum = out + t * out_stride + begin;
      for (int64_t r = 0; r < part.count; ++r) sum[r] = product[r] + product[part.count + r];
    }
  }
}

void Axpy(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows, const float* scale,
          int64_t scale_stride, const Rows<float>& y) {
  switch (matrix.type) {
    case WeightType::kF32:
      return kernels.f32.axpy(SelectRows<float>(matrix.data, matrix.stride, rows), scale,
                              scale_stride, y, matrix.cols);
    case WeightType::kBF16:
      return kernels.bf16.axpy(SelectRows<uint16_t>(matrix.data, matrix.stride, rows), scale,
                               scale_stride, y, matrix.cols);
    default:
      return PackedOf(kernels, matrix.type)
          .axpy(PackedRows(matrix, rows), scale, scale_stride, y, matrix.cols);
  }
}

void AxpyTiles(const TileKernels& kernels, const Matrix& matrix, const RowSet& rows,
               const float* scale, int64_t scale_stride, int64_t vectors, float* y) {
  TilesOf(kernels, matrix.type)
      .axpy(PackedRows(matrix, rows), scale, scale_stride, vectors, matrix.cols, y);
}

void RunNeurons(const KernelTable& kernels, const Matrix& up, const Matrix& down,
                const RowSet& rows, const float* act, const QuantizedRows& x, float* y) {
  PackedOf(kernels, up.type).ffn(PackedRows(up, rows), PackedRows(down, rows), act, x, y);
}

void Screen(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows,
            const QuantizedRows& x, float* estimate, float* deviation, int64_t out_stride) {
  kernels.planes.screen(PackedRows(matrix, rows), x, estimate, deviation, out_stride);
}

void UnpackMatrixRow(const Matrix& matrix, int64_t r, float* out, RowUse use) {
  const int64_t n = matrix.cols;
  const int64_t offset = r * matrix.stride;
  const auto* bytes = static_cast<const uint8_t*>(matrix.data) + offset;
  switch (matrix.type) {
    case WeightType::kF32:
      std::copy_n(static_cast<const float*>(matrix.data) + offset, n, out);
      return;
    case WeightType::kBF16: {
      const uint16_t* row = static_cast<const uint16_t*>(matrix.data) + offset;
      std::transform(row, row + n, out, BF16ToF32);
      return;
    }
    case WeightType::kPlanes:
      return UnpackPlanes(bytes, static_cast<const uint8_t*>(matrix.low) + r * matrix.low_stride, n,
                          out);
    default:
      return UnpackRow(FormatOf(matrix.type), use, bytes, n, out);
  }
}

}  // namespace stocha
