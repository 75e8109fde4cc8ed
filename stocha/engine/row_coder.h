// One row of weights from floats into the form that a packed file has it in.
#ifndef STOCHA_ENGINE_ROW_CODER_H_
#define STOCHA_ENGINE_ROW_CODER_H_

#include <cstddef>
#include <cstdint>

#include "stocha/engine/matrix.h"
#include "stocha/kernels/packed.h"

namespace stocha {

struct RowError {
  double squares = 0;  // sum of w^2; not finite when a weight is not
  double error = 0;    // sum of (w - w')^2; not finite when the type cannot say a weight

  RowError& operator+=(const RowError& other) {
    squares += other.squares;
    error += other.error;
    return *this;
  }
};

// values: [cols]. row: Matrix::RowBytes of the type; of kPlanes, the high plane, and `low` the low
// one. When the result is not finite, the row is not written.
RowError EncodeRow(WeightType type, RowUse use, const float* values, int64_t cols, std::byte* row,
                   std::byte* low = nullptr);

}  // namespace stocha

#endif  // STOCHA_ENGINE_ROW_CODER_H_
