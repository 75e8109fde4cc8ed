#include "stocha/bench/random_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "stocha/base/dtype.h"

namespace stocha {
namespace {

// The standard deviation of the sum of two uniform integers, 0 .. 127 or 0 .. 7.
constexpr float kByteDeviation = 52.25F;
constexpr float kNibbleDeviation = 3.24F;
// Of 16 times 2 uniform bits and such a nibble.
constexpr float kSixBitDeviation = 18.18F;
// Of a high half of such a byte and any low half.
constexpr float kPlanesDeviation = 52.66F;

// 8 bytes, 1 .. 255 around 128.
uint64_t TriangleBytes(RandomBits& bits) {
  constexpr uint64_t kSevenBits = 0x7F7F7F7F7F7F7F7F;
  constexpr uint64_t kOne = 0x0101010101010101;
  return (bits.Next() & kSevenBits) + (bits.Next() & kSevenBits) + kOne;
}

// 16 nibbles, 1 .. 15 around 8.
uint64_t TriangleNibbles(RandomBits& bits) {
  constexpr uint64_t kThreeBits = 0x7777777777777777;
  constexpr uint64_t kOne = 0x1111111111111111;
  return (bits.Next() & kThreeBits) + (bits.Next() & kThreeBits) + kOne;
}

// `bytes` is a multiple of 8.
template <typename Word>
void FillWords(uint8_t* out, int64_t bytes, const Word& word) {
  for (int64_t i = 0; i < bytes; i += 8) {
    const uint64_t value = word();
    std::memcpy(out + i, &value, sizeof(value));
  }
}

float Vary(float scale, RandomBits& bits) { return scale * (0.8F + 0.4F * bits.NextUniform()); }

void StoreF16(uint8_t* out, float value) {
  const uint16_t half = F32ToF16(value);
  std::memcpy(out, &half, sizeof(half));
}

void FillScales(uint8_t* out, int64_t blocks, float scale, RandomBits& bits) {
  for (int64_t b = 0; b < blocks; ++b) StoreF16(out + 2 * b, Vary(scale, bits));
}

// w = d s q - e m with m = s and e = 8 d, so that w = d s (q - 8).
void FillQ4KScales(uint8_t* out, int64_t blocks, float deviation, RandomBits& bits) {
  constexpr float kMeanScale = 32;  // of the 63 that 6 bits hold
  for (int64_t b = 0; b < blocks; ++b) {
    out[b] = out[blocks + b] = static_cast<uint8_t>(std::lround(Vary(kMeanScale, bits)));
  }
  uint8_t* outer = out + 2 * blocks;
  const int64_t supers = SuperBlocks(blocks * kBlock);
  for (int64_t s = 0; s < supers; ++s) {
    const float d = deviation / (kNibbleDeviation * kMeanScale);
    StoreF16(outer + 2 * s, d);
    StoreF16(outer + 2 * (supers + s), 8 * d);
  }
}

void FillQ6KScales(uint8_t* out, int64_t blocks, float deviation, RandomBits& bits) {
  constexpr float kMeanScale = 64;  // of the 127 that 8 bits hold
  for (int64_t h = 0; h < 2 * blocks; ++h) {
    out[h] = static_cast<uint8_t>(std::lround(Vary(kMeanScale, bits)));
  }
  for (int64_t s = 0; s < SuperBlocks(blocks * kBlock); ++s) {
    StoreF16(out + 2 * blocks + 2 * s, deviation / (kSixBitDeviation * kMeanScale));
  }
}

// Calls fill(values, scales, blocks) for the steps of a row.
template <typename Fill>
void ForEachStep(PackedFormat format, int64_t n, uint8_t* row, const Fill& fill) {
  for (int64_t step = 0; step * kStepValues < n; ++step) {
    const int64_t blocks = StepBlocks(n, step);
    fill(row, row + ValueBytes(format, blocks), blocks);
    row += StepBytes(format, blocks);
  }
}

// Of standard deviation 1.
float TriangleFloat(uint64_t word) {
  constexpr float kSqrt6 = 2.4494898F;
  const auto a = static_cast<float>(static_cast<uint32_t>(word));
  const auto b = static_cast<float>(static_cast<uint32_t>(word >> 32));
  return ((a + b) * 0x1p-32F - 1) * kSqrt6;
}

}  // namespace

uint64_t RandomBits::Next() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

void FillPackedRow(PackedFormat format, RowUse use, int64_t n, float deviation, RandomBits& bits,
                   uint8_t* row) {
  // Rows for axpy hold q, those for dot q + 128.
  const uint64_t flip = use == RowUse::kAxpy ? 0x8080808080808080 : 0;
  ForEachStep(format, n, row, [&](uint8_t* values, uint8_t* scales, int64_t blocks) {
    const int64_t bytes = ValueBytes(format, blocks);
    switch (format) {
      case PackedFormat::kQ8_0:
        FillWords(values, bytes, [&] { return TriangleBytes(bits) ^ flip; });
        return FillScales(scales, blocks, deviation / kByteDeviation, bits);
      case PackedFormat::kQ4_0:
        FillWords(values, bytes, [&] { return TriangleNibbles(bits); });
        return FillScales(scales, blocks, deviation / kNibbleDeviation, bits);
      case PackedFormat::kQ4_K:
        FillWords(values, bytes, [&] { return TriangleNibbles(bits); });
        return FillQ4KScales(scales, blocks, deviation, bits);
      case PackedFormat::kQ6_K:
        FillWords(values, NibbleBytes(blocks), [&] { return TriangleNibbles(bits); });
        FillWords(values + NibbleBytes(blocks), PairBytes(blocks), [&] { return bits.Next(); });
        return FillQ6KScales(scales, blocks, deviation, bits);
    }
  });
}

void FillHighPlaneRow(int64_t n, float deviation, RandomBits& bits, uint8_t* row) {
  constexpr uint64_t kHighHalves = 0xF0F0F0F0F0F0F0F0;
  constexpr PackedFormat kFormat = PackedFormat::kQ4_0;  // laid out as its rows
  ForEachStep(kFormat, n, row, [&](uint8_t* values, uint8_t* scales, int64_t blocks) {
    FillWords(values, ValueBytes(kFormat, blocks), [&] {
      return (TriangleBytes(bits) & kHighHalves) | ((TriangleBytes(bits) & kHighHalves) >> 4);
    });
    FillScales(scales, blocks, deviation / kPlanesDeviation, bits);
  });
}

void FillLowPlaneRow(int64_t n, RandomBits& bits, uint8_t* row) {
  FillWords(row, LowPlaneBytes(n), [&] { return bits.Next(); });
}

void FillBF16Row(int64_t n, float deviation, RandomBits& bits, uint16_t* row) {
  std::generate_n(row, n, [&] { return F32ToBF16(TriangleFloat(bits.Next()) * deviation); });
}

void FillF32Row(int64_t n, float deviation, RandomBits& bits, float* row) {
  std::generate_n(row, n, [&] { return TriangleFloat(bits.Next()) * deviation; });
}

}  // namespace stocha
