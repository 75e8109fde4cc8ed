// A matrix of weights as kernels read it, whatever its element type.
#ifndef STOCHA_ENGINE_MATRIX_H_
#define STOCHA_ENGINE_MATRIX_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "stocha/base/memory.h"
#include "stocha/kernels/kernels.h"
#include "stocha/kernels/packed.h"

namespace stocha {

// Of the rows of a matrix. The packed ones, from kQ8_0 on, are those of kernels/packed.h.
enum class WeightType : uint8_t { kF32, kBF16, kQ8_0, kQ4_0, kQ4_K, kQ6_K, kPlanes };

constexpr bool IsPacked(WeightType type) { return type >= WeightType::kQ8_0; }
// Rows of this type can be added up, as a layout by neurons needs of its down matrix.
constexpr bool HasAxpy(WeightType type) {
  return type != WeightType::kQ6_K && type != WeightType::kPlanes;
}
// Of a packed type that is not in planes.
PackedFormat FormatOf(WeightType type);
std::string_view WeightTypeName(WeightType type);  // "f32", "q8_0" ...; "q8_0 planes"

// [rows, cols]. Borrows its elements.
struct Matrix {
  WeightType type = WeightType::kF32;
  const void* data = nullptr;  // kPlanes: the high plane
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;         // from row to row: elements of f32 and bf16, bytes of packed rows
  const void* low = nullptr;  // kPlanes: the low plane
  int64_t low_stride = 0;     // likewise, bytes

  // Of the weights of one row, scales too, padding not.
  int64_t RowBytes() const;
};

// `count` rows of a matrix: those in `index`, or `first`, first + 1 ...
struct RowSet {
  int64_t count = 0;
  int64_t first = 0;               // without index
  const int32_t* index = nullptr;  // [count]
};

// Vectors that matrices are multiplied with; the same ones twice, when a packed matrix is among
// them.
struct Input {
  Rows<const float> x;
  QuantizedRows quantized;
  QuantizedRows fine;  // two for each of them (QuantizedBuffer::FineVectors), or none
  TileVectors tiles;   // or none: packed rows then meet these, by TileKernels, and no others

  // Vector *t alone; t is borrowed.
  Input Only(const int32_t* t) const;
};

// Room for the 8-bit form of vectors of n values, n a multiple of 32; empty for any other n. With
// kFine, room for what that form leaves of each vector, in 8 bits again: 16 bits in all.
enum class QuantizedDepth : uint8_t { kCoarse, kFine };
class QuantizedBuffer {
 public:
  QuantizedBuffer(int64_t vectors, int64_t n, QuantizedDepth depth = QuantizedDepth::kCoarse);

  // Vector `t` becomes x ([n]), its rest too. Several threads may set different vectors.
  void Set(const KernelTable& kernels, int64_t t, const float* x);
  QuantizedRows Vectors(int64_t count) const;
  // Vector and rest, vector and rest ...: 2 * count; none where there are no rests.
  QuantizedRows FineVectors(int64_t count) const;

 private:
  void SetAt(const KernelTable& kernels, int64_t at, const float* x);

  int64_t n_;
  int64_t vectors_;
  std::vector<int32_t> pairs_;  // 0, vectors_, 1, vectors_ + 1 ...
  Buffer<int8_t> values_;
  Buffer<float> scale_;
  Buffer<int32_t> sum_;
  Buffer<int32_t> first_sum_;
  Buffer<float> energy_;
};

// out[t * out_stride + r] = row r of the set times vector t, as the kernel of the type has it; of
// packed rows and fine vectors, times the vector in 8 bits plus times its rest; of packed rows and
// tiles, as TileKernels have it.
void Dot(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows, const Input& input,
         float* out, int64_t out_stride);

// y[t] += sum over r of scale[t * scale_stride + r] times row r; HasAxpy types only.
void Axpy(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows, const float* scale,
          int64_t scale_stride, const Rows<float>& y);

// The same by TileKernels, of a packed type: at most kMostTileRows rows and kMostTileVectors
// vectors; y in tiles (TileOffset), with room for a multiple of 16.
void AxpyTiles(const TileKernels& kernels, const Matrix& matrix, const RowSet& rows,
               const float* scale, int64_t scale_stride, int64_t vectors, float* y);

// The feed-forward kernel of one token, of packed up and down of one type (HasAxpy):
// y += sum over r of act[r] (up_r . x) down_r.
void RunNeurons(const KernelTable& kernels, const Matrix& up, const Matrix& down,
                const RowSet& rows, const float* act, const QuantizedRows& x, float* y);

// PlaneKernels::screen of a kPlanes matrix.
void Screen(const KernelTable& kernels, const Matrix& matrix, const RowSet& rows,
            const QuantizedRows& x, float* estimate, float* deviation, int64_t out_stride);

// Row r as floats; `use` says how packed rows lie.
void UnpackMatrixRow(const Matrix& matrix, int64_t r, float* out, RowUse use = RowUse::kDot);

}  // namespace stocha

#endif  // STOCHA_ENGINE_MATRIX_H_
