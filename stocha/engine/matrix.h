// A matrix of weights as kernels read it, whatever its element type.
#ifndef STOCHA_ENGINE_MATRIX_H_
#define STOCHA_ENGINE_MATRIX_H_

#include <cstdint>

#include "stocha/base/dtype.h"
#include "stocha/kernels/kernels.h"

namespace stocha {

// [rows, cols], row r at element r * stride. Borrows its elements.
struct Matrix {
  DType dtype = DType::kF32;  // kF32 or kBF16
  const void* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
};

// `count` rows of a matrix: those in `index`, or `first`, first + 1 ...
struct RowSet {
  int64_t count = 0;
  int64_t first = 0;               // without index
  const int32_t* index = nullptr;  // [count]
};

template <typename W>
Rows<const W> SelectRows(const Matrix& matrix, const RowSet& set) {
  const int64_t offset = set.index == nullptr ? set.first * matrix.stride : 0;
  return {.data = static_cast<const W*>(matrix.data) + offset,
          .stride = matrix.stride,
          .index = set.index,
          .count = set.count};
}

// WeightKernels::dot and axpy for the matrix's type.
inline void Dot(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows,
                const Rows<const float>& x, float* out, int64_t out_stride) {
  if (matrix.dtype == DType::kBF16) {
    kernels.bf16.dot(SelectRows<uint16_t>(matrix, rows), x, matrix.cols, out, out_stride);
  } else {
    kernels.f32.dot(SelectRows<float>(matrix, rows), x, matrix.cols, out, out_stride);
  }
}

inline void Axpy(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows,
                 const float* scale, int64_t scale_stride, const Rows<float>& y) {
  if (matrix.dtype == DType::kBF16) {
    kernels.bf16.axpy(SelectRows<uint16_t>(matrix, rows), scale, scale_stride, y, matrix.cols);
  } else {
    kernels.f32.axpy(SelectRows<float>(matrix, rows), scale, scale_stride, y, matrix.cols);
  }
}

}  // namespace stocha

#endif  // STOCHA_ENGINE_MATRIX_H_
