// left^T right of bfloat16 by AMX: the gradient of a weight, summed over tokens. General products
// spend a third of such a call on turning `left`; here it is turned block by block on its way into
// the cache, several blocks of a row at a time.
//
// Pure but for what is written, on the calling thread alone. Every value is summed in one order:
// the same bits however the parts are spread over threads.
#ifndef STOCHA_TRAIN_WEIGHT_GRADIENT_KERNEL_H_
#define STOCHA_TRAIN_WEIGHT_GRADIENT_KERNEL_H_

#include <cstddef>
#include <cstdint>

namespace stocha {

constexpr int64_t kGradientPart = 32;  // tokens, rows and columns

struct WeightGradientCall {
  int64_t tokens = 0;
  int64_t rows = 0;     // values of a token in `left`
  int64_t columns = 0;  // in `right`; fastest where they are no more than the rows
  const uint16_t* left = nullptr;
  const uint16_t* right = nullptr;
  int64_t left_stride = 0;  // values from token to token
  int64_t right_stride = 0;
  bool transposed = false;     // result: [columns, rows]
  uint16_t* result = nullptr;  // [rows, columns], contiguous; sums are f32, rounded once

  int64_t TokenParts() const { return (tokens + kGradientPart - 1) / kGradientPart; }
  int64_t RowParts() const { return (rows + kGradientPart - 1) / kGradientPart; }
  int64_t ColumnParts() const { return (columns + kGradientPart - 1) / kGradientPart; }
};

// Memory that it takes is aligned to 64.
struct WeightGradientKernel {
  int64_t (*packed_bytes)(const WeightGradientCall& call);  // of `right`, for all threads
  void (*pack_right)(const WeightGradientCall& call, int64_t token_part, void* packed);
  // Of a thread that computes `row_parts` parts at once.
  int64_t (*scratch_bytes)(const WeightGradientCall& call, int64_t row_parts);
  // Once every part of the tokens is packed.
  void (*multiply)(const WeightGradientCall& call, int64_t first_row_part, int64_t row_parts,
                   const void* packed, void* scratch);
};

#if defined(__x86_64__)
extern const WeightGradientKernel kWeightGradientKernelAmx;
#endif

// Null: there is none for this machine and STOCHA_ISA.
const WeightGradientKernel* SelectedWeightGradientKernel();

}  // namespace stocha

#endif  // STOCHA_TRAIN_WEIGHT_GRADIENT_KERNEL_H_
