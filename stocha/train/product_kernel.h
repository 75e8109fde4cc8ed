// Products of bfloat16 matrices in blocks that are laid out anew on their way into the cache, so
// that it does not matter how the matrices lie in memory: torch's product spends a third of a
// weight's gradient, a sum over tokens, on turning one side first.
//
// Pure but for what is written, on the calling thread alone. Every value is summed in one order, in
// f32, and rounded once: the same bits however the parts are spread over threads.
#ifndef STOCHA_TRAIN_PRODUCT_KERNEL_H_
#define STOCHA_TRAIN_PRODUCT_KERNEL_H_

#include <cstddef>
#include <cstdint>

namespace stocha {

constexpr int64_t kProductPart = 32;  // rows, columns, and depth, which is summed over

// [rows of it, columns of it], or turned: the other way round in memory.
struct ProductMatrix {
  const uint16_t* values = nullptr;
  int64_t stride = 0;  // values from one row in memory to the next
  bool turned = false;
};

struct ProductCall {
  int64_t rows = 0;
  int64_t columns = 0;  // fastest where they are no more than the rows
  int64_t depth = 0;
  ProductMatrix left;          // [rows, depth]
  ProductMatrix right;         // [depth, columns]
  uint16_t* result = nullptr;  // [rows, columns], contiguous
  bool result_turned = false;  // [columns, rows]

  static int64_t Parts(int64_t size) { return (size + kProductPart - 1) / kProductPart; }
  int64_t RowParts() const { return Parts(rows); }
  int64_t ColumnParts() const { return Parts(columns); }
  int64_t DepthParts() const { return Parts(depth); }
};

// Memory that it takes is aligned to 64.
struct ProductKernel {
  int64_t (*packed_bytes)(const ProductCall& call);  // of `right`, for all threads
  void (*pack_right)(const ProductCall& call, int64_t depth_part, void* packed);
  // Of a thread that computes `row_parts` parts at once.
  int64_t (*scratch_bytes)(const ProductCall& call, int64_t row_parts);
  // Once every part of the depth is packed.
  void (*multiply)(const ProductCall& call, int64_t first_row_part, int64_t row_parts,
                   const void* packed, void* scratch);
};

#if defined(__x86_64__)
extern const ProductKernel kProductKernelAmx;
extern const ProductKernel kProductKernelAvx512;
extern const ProductKernel kProductKernelAvx2;
#endif

// The one that is faster than torch's product for this call, on this machine and with this
// STOCHA_ISA; null: there is none.
const ProductKernel* SelectedProductKernel(const ProductCall& call);

}  // namespace stocha

#endif  // STOCHA_TRAIN_PRODUCT_KERNEL_H_
