// The kernel of weights' gradients by AMX-BF16. No STL, as in attention_kernel_amx.cc.
#include <immintrin.h>

#include "stocha/train/weight_gradient_kernel.h"

namespace stocha {
namespace {

#include "stocha/train/amx_blocks.inc"
static_assert(kBlock == kGradientPart);

// Parts of tokens between two visits of a sum: a part of the rows stays in the first-level
// cache while those of the columns pass.
constexpr int64_t kTokenParts = 16;

inline int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

// Tokens part * 32 ... of the columns part * 32 ... of [tokens, columns].
inline MatrixPart PartOf(const uint16_t* matrix, int64_t stride, int64_t tokens, int64_t columns,
                         int64_t token_part, int64_t part) {
  return {.values = matrix + token_part * kBlock * stride + part * kBlock,
          .stride = stride,
          .rows = tokens - token_part * kBlock,
          .columns = columns - part * kBlock};
}

// [column part][token part]
int64_t PackedBytes(const WeightGradientCall& call) {
  return 2 * kBlockValues * call.TokenParts() * call.ColumnParts();
}

void PackRightPart(const WeightGradientCall& call, int64_t token_part, void* packed) {
  auto* blocks = static_cast<uint16_t*>(packed);
  for (int64_t part = 0; part < call.ColumnParts(); ++part) {
    PackRight(PartOf(call.right, call.right_stride, call.tokens, call.columns, token_part, part),
              blocks + (part * call.TokenParts() + token_part) * kBlockValues);
  }
}

// Left blocks [row part][token part of kTokenParts], then sums [row part][column part].
int64_t ScratchBytes(const WeightGradientCall& call, int64_t row_parts) {
  return row_parts * kBlockValues * (2 * kTokenParts + 4 * call.ColumnParts());
}

// The next rows are far apart: the processor does not see them coming.
inline void Prefetch(const MatrixPart& part, int64_t columns) {
  for (int64_t row = 0; row < Least(kBlock, part.rows); ++row) {
    const uint16_t* values = part.values + row * part.stride;
    for (int64_t i = 0; i < columns; i += kBlock) {
      _mm_prefetch(reinterpret_cast<const char*>(values + i), _MM_HINT_T0);
    }
  }
}

void PackLeftParts(const WeightGradientCall& call, int64_t first_row_part, int64_t row_parts,
                   int64_t first_token_part, int64_t token_parts, uint16_t* blocks) {
  const auto part_of = [&](int64_t token_part, int64_t row_part) {
    return PartOf(call.left, call.left_stride, call.tokens, call.rows,
                  first_token_part + token_part, first_row_part + row_part);
  };
  const int64_t columns = Least(row_parts * kBlock, call.rows - first_row_part * kBlock);
  for (int64_t t = 0; t < token_parts; ++t) {
    Prefetch(part_of(t + 1, 0), columns);
    for (int64_t r = 0; r < row_parts; ++r) {
      PackLeftTransposed(part_of(t, r), blocks + (r * kTokenParts + t) * kBlockValues);
    }
  }
}

// A block of sums into the result.
void StoreBlock(const WeightGradientCall& call, const float* sums, int64_t row_part,
                int64_t column_part) {
  alignas(64) uint16_t block[kBlockValues];
  for (int64_t row = 0; row < kBlock; ++row) {
    const float* values = sums + SumsOfRow(row);
    _mm512_store_si512(block + row * kBlock,
                       ToBF16(_mm512_load_ps(values), _mm512_load_ps(values + kTileSums)));
  }
  int64_t rows = call.rows - row_part * kBlock;
  int64_t columns = call.columns - column_part * kBlock;
  int64_t stride = call.columns;
  uint16_t* to = call.result + row_part * kBlock * stride + column_part * kBlock;
  if (call.transposed) {
    PackLeftTransposed({.values = block, .stride = kBlock, .rows = kBlock, .columns = kBlock},
                       block);
    stride = call.rows;
    to = call.result + column_part * kBlock * stride + row_part * kBlock;
    const int64_t other = rows;
    rows = columns;
    columns = other;
  }
  const __mmask32 mask = LowBits(columns);
  for (int64_t row = 0; row < Least(kBlock, rows); ++row) {
    _mm512_mask_storeu_epi16(to + row * stride, mask, _mm512_load_si512(block + row * kBlock));
  }
}

void Multiply(const WeightGradientCall& call, int64_t first_row_part, int64_t row_parts,
              const void* packed, void* scratch) {
  const auto* right = static_cast<const uint16_t*>(packed);
  auto* left = static_cast<uint16_t*>(scratch);
  auto* sums = reinterpret_cast<float*>(left + row_parts * kTokenParts * kBlockValues);
  const int64_t columns = call.ColumnParts();
  const Tiles tiles(kPairConfig);
  for (int64_t first = 0; first < call.TokenParts(); first += kTokenParts) {
    const int64_t token_parts = Least(kTokenParts, call.TokenParts() - first);
    PackLeftParts(call, first_row_part, row_parts, first, token_parts, left);
    for (int64_t row = 0; row < row_parts; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        float* block = sums + (row * columns + column) * kBlockValues;
        MultiplyBlocks(left + row * kTokenParts * kBlockValues,
                       right + (column * call.TokenParts() + first) * kBlockValues, token_parts,
                       first > 0, block);
        if (first + token_parts == call.TokenParts()) {
          StoreBlock(call, block, first_row_part + row, column);
        }
      }
    }
  }
}

}  // namespace

const WeightGradientKernel kWeightGradientKernelAmx = {PackedBytes, PackRightPart, ScratchBytes,
                                                       Multiply};

}  // namespace stocha
