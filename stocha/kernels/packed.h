// How quantised rows lie in memory: first the values of the row, then its scales.
//
// A block is 32 values with one scale, as in ggml, and the values are ggml's; only their places
// differ. Scales stand behind the values, so that values are read in whole vectors; what a product
// wants together stands together. nb = n / 32 blocks; four blocks are a chunk, the last one of a
// row may have fewer.
//
//   q8_0     w = d q            q + 128, 1 byte each; a chunk of m blocks is the first halves of
//   its
//                               blocks (16 m bytes), then the second halves. Then d, f16 [nb].
//   q4_0     w = d (q - 8)      q, 4 bits; a block is 16 bytes, byte j has value j in its low half
//                               and value j + 16 in its high half. Then d, f16 [nb].
//   q4_k     w = d s q - e m    q as in q4_0; then s, uint8 [nb], m, uint8 [nb]; then d, e of every
//                               8 blocks, f16 [nb / 8, rounded up] each.
//   q8_0 in planes              a high row: (q + 128) / 16, as the q of q4_0, then d, f16 [nb]; a
//   low
//                               row: (q + 128) mod 16, likewise, without d. Same w as q8_0. The
//                               high row alone tells w to 1/16 of the range, enough to screen the
//                               gate.
//
// Those rows are for `dot`. Rows for `axpy` (the down matrix, transposed) are the same but for
// q8_0, whose values are then q itself in their natural order.
#ifndef STOCHA_KERNELS_PACKED_H_
#define STOCHA_KERNELS_PACKED_H_

#include <cstdint>

namespace stocha {

enum class PackedFormat : uint8_t { kQ8_0, kQ4_0, kQ4_K };
enum class RowUse : uint8_t { kDot, kAxpy };

inline constexpr int64_t kBlock = 32;        // values a scale
inline constexpr int64_t kSuperBlock = 256;  // values a pair d, e of q4_k

// The variance of a uniform low half, 0 .. 15, which a screen by the high plane leaves open.
inline constexpr float kScreenVariance = 21.25F;

// Pairs d, e of a row of q4_k; the last one may have fewer than 8 blocks.
constexpr int64_t SuperBlocks(int64_t n) { return (n + kSuperBlock - 1) / kSuperBlock; }

constexpr int64_t LowPlaneBytes(int64_t n) { return n / 2; }
constexpr int64_t HighPlaneBytes(int64_t n) { return n / 2 + n / kBlock * 2; }

constexpr int64_t RowBytes(PackedFormat format, int64_t n) {
  switch (format) {
    case PackedFormat::kQ8_0:
      return n + n / kBlock * 2;
    case PackedFormat::kQ4_0:
      return n / 2 + n / kBlock * 2;
    case PackedFormat::kQ4_K:
      return n / 2 + n / kBlock * 2 + SuperBlocks(n) * 4;
  }
  return 0;
}

// Where value i of a q8_0 row for `dot` stands.
constexpr int64_t Q8DotOffset(int64_t i, int64_t n) {
  const int64_t chunk = i / (4 * kBlock) * (4 * kBlock);
  const int64_t left = (n - chunk) / kBlock;
  const int64_t blocks = left < 4 ? left : 4;
  const int64_t block = (i - chunk) / kBlock;
  const int64_t within = i % kBlock;
  return chunk + within / 16 * (16 * blocks) + block * 16 + within % 16;
}

// Rounds `values` ([n], finite) to the format. Throws nothing; n a multiple of 32.
void QuantizeRow(PackedFormat format, RowUse use, const float* values, int64_t n, uint8_t* row);

// The n values of a row, as ggml computes them.
void UnpackRow(PackedFormat format, RowUse use, const uint8_t* row, int64_t n, float* values);

// A q8_0 row for `dot` into its planes, and the values of planes.
void SplitPlanes(const uint8_t* row, int64_t n, uint8_t* high, uint8_t* low);
void UnpackPlanes(const uint8_t* high, const uint8_t* low, int64_t n, float* values);

}  // namespace stocha

#endif  // STOCHA_KERNELS_PACKED_H_
