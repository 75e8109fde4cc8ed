// How quantised rows lie in memory: in steps of 512 values, each its values and then its scales.
//
// A block is 32 values with one scale, as in ggml, and the values are ggml's; only their places
// differ. A step is 16 blocks, the last one of a row may have fewer: nb. Its values stand together,
// so that they are read in whole vectors, and its scales right behind them, so that a row is read
// from one end to the other: a machine foresees only that. Four blocks are a chunk, the last one of
// a step may have fewer. A step holds
//
//   q8_0     w = d q            q + 128, 1 byte each; a chunk of m blocks is the first halves of
//   its
//                               blocks (16 m bytes), then the second halves. Then d, f16 [nb].
//   q4_0     w = d (q - 8)      q, 4 bits; a block is 16 bytes, byte j has value j in its low half
//                               and value j + 16 in its high half. Then d, f16 [nb].
//   q4_k     w = d s q - e m    q as in q4_0; then s, uint8 [nb], m, uint8 [nb]; then d, e of every
//                               8 blocks, f16 [nb / 8, rounded up] each.
//   q6_k     w = d s (q - 32)   the low 4 bits of q as in q4_0, then the high 2: a byte has them of
//                               4 values, which stand at its place in the first half of a chunk,
//                               in the first half of the next one, in the second half of each.
//                               Then s, int8 [nb] of the blocks' first halves, [nb] of their
//                               second ones; then d of every 8 blocks, f16.
//
//   q8_0 in planes: a high row has (q + 128) / 16 as the q of q4_0, with d; a low row has
//   (q + 128) mod 16, likewise, without d. Same w as q8_0. The high row alone tells w to 1/16 of
//   the range, enough to screen the gate.
//
// Those rows are for `dot`. Rows for `axpy` (the down matrix, transposed) are the same but for
// q8_0, whose values are then q itself in their natural order; q6_k has none.
#ifndef STOCHA_KERNELS_PACKED_H_
#define STOCHA_KERNELS_PACKED_H_

#include <cstdint>

namespace stocha {

enum class PackedFormat : uint8_t { kQ8_0, kQ4_0, kQ4_K, kQ6_K };
enum class RowUse : uint8_t { kDot, kAxpy };

inline constexpr int64_t kBlock = 32;        // values a scale
inline constexpr int64_t kSuperBlock = 256;  // values a pair d, e of q4_k, and a d of q6_k
inline constexpr int64_t kStepBlocks = 16;
inline constexpr int64_t kStepValues = kStepBlocks * kBlock;

// The variance of a uniform low half, 0 .. 15, which a screen by the high plane leaves open.
inline constexpr float kScreenVariance = 21.25F;

// Of n values; the last one may have fewer than 8 blocks.
constexpr int64_t SuperBlocks(int64_t n) { return (n + kSuperBlock - 1) / kSuperBlock; }

// Of a step of `blocks` blocks.
constexpr int64_t NibbleBytes(int64_t blocks) { return blocks * kBlock / 2; }
// The high bits of q6_k; two chunks share them, of which the second may have fewer blocks or none.
constexpr int64_t PairBytes(int64_t blocks) {
  const int64_t last = blocks % 8;
  return (blocks / 8 * 4 + (last < 4 ? last : 4)) * 16;
}
constexpr int64_t ValueBytes(PackedFormat format, int64_t blocks) {
  if (format == PackedFormat::kQ8_0) return blocks * kBlock;
  return NibbleBytes(blocks) + (format == PackedFormat::kQ6_K ? PairBytes(blocks) : 0);
}
constexpr int64_t StepBytes(PackedFormat format, int64_t blocks) {
  const int64_t supers = SuperBlocks(blocks * kBlock);
  int64_t outer = 0;
  if (format == PackedFormat::kQ4_K) outer = supers * 4;
  if (format == PackedFormat::kQ6_K) outer = supers * 2;
  return ValueBytes(format, blocks) + blocks * 2 + outer;
}

// Of a row of n values.
constexpr int64_t StepBlocks(int64_t n, int64_t step) {
  const int64_t left = n / kBlock - step * kStepBlocks;
  return left < kStepBlocks ? left : kStepBlocks;
}
constexpr int64_t RowBytes(PackedFormat format, int64_t n) {
  return n / kStepValues * StepBytes(format, kStepBlocks) +
         StepBytes(format, n % kStepValues / kBlock);
}
constexpr int64_t LowPlaneBytes(int64_t n) { return n / 2; }
constexpr int64_t HighPlaneBytes(int64_t n) { return RowBytes(PackedFormat::kQ4_0, n); }

// Where value i of a step of q8_0 for `dot` stands.
constexpr int64_t Q8DotOffset(int64_t i, int64_t blocks) {
  const int64_t chunk = i / (4 * kBlock);
  const int64_t left = blocks - chunk * 4;
  const int64_t half = i % kBlock / 16;
  return chunk * 4 * kBlock + half * 16 * (left < 4 ? left : 4) + i % (4 * kBlock) / kBlock * 16 +
         i % 16;
}

// Rounds `values` ([n], finite) to the format. Throws nothing; n a multiple of 32; q6_k for dot.
void QuantizeRow(PackedFormat format, RowUse use, const float* values, int64_t n, uint8_t* row);

// The n values of a row, as ggml computes them.
void UnpackRow(PackedFormat format, RowUse use, const uint8_t* row, int64_t n, float* values);

// A q8_0 row for `dot` into its planes, and the values of planes.
void SplitPlanes(const uint8_t* row, int64_t n, uint8_t* high, uint8_t* low);
void UnpackPlanes(const uint8_t* high, const uint8_t* low, int64_t n, float* values);

}  // namespace stocha

#endif  // STOCHA_KERNELS_PACKED_H_
