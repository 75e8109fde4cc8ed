#include "stocha/kernels/packed.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "stocha/kernels/block_quantize.h"
#include "stocha/kernels/packed_values.h"

namespace stocha {
namespace {

void StoreF16(uint8_t* p, uint16_t bits) { std::memcpy(p, &bits, sizeof(bits)); }

// 32 values below 16 into 16 bytes.
void PackNibbles(const uint8_t* values, uint8_t* bytes) {
  for (int64_t j = 0; j < 16; ++j) {
    bytes[j] = static_cast<uint8_t>(values[j] | (values[j + 16] << 4));
  }
}

void QuantizeQ8(RowUse use, const float* values, int64_t n, uint8_t* row) {
  for (int64_t b = 0; b < n / kBlock; ++b) {
    int8_t q[kBlock];
    StoreF16(row + n + 2 * b, QuantizeBlockQ8(values + b * kBlock, q));
    for (int64_t j = 0; j < kBlock; ++j) {
      const int64_t i = b * kBlock + j;
      if (use == RowUse::kAxpy) {
        row[i] = static_cast<uint8_t>(q[j]);
      } else {
        row[Q8DotOffset(i, n)] = static_cast<uint8_t>(q[j] + 128);
      }
    }
  }
}

void QuantizeQ4(const float* values, int64_t n, uint8_t* row) {
  for (int64_t b = 0; b < n / kBlock; ++b) {
    uint8_t q[kBlock];
    StoreF16(row + n / 2 + 2 * b, QuantizeBlockQ4(values + b * kBlock, q));
    PackNibbles(q, row + b * 16);
  }
}

void QuantizeQ4K(const float* values, int64_t n, uint8_t* row) {
  const int64_t blocks = n / kBlock;
  const int64_t supers = SuperBlocks(n);
  uint8_t* scales = row + n / 2;
  uint8_t* mins = scales + blocks;
  uint8_t* outer = mins + blocks;
  for (int64_t s = 0; s < supers; ++s) {
    // Zeros fill the last one, and are not stored.
    float whole[kSuperBlock] = {};
    const int64_t count = std::min(kSuperBlock, n - s * kSuperBlock);
    std::copy_n(values + s * kSuperBlock, count, whole);
    SuperBlockQ4K block;
    QuantizeSuperBlockQ4K(whole, &block);
    for (int64_t b = 0; b < count / kBlock; ++b) {
      PackNibbles(block.q + b * kBlock, row + (s * 8 + b) * 16);
      scales[s * 8 + b] = block.scale[b];
      mins[s * 8 + b] = block.min[b];
    }
    StoreF16(outer + 2 * s, block.d);
    StoreF16(outer + 2 * (supers + s), block.e);
  }
}

}  // namespace

void QuantizeRow(PackedFormat format, RowUse use, const float* values, int64_t n, uint8_t* row) {
  switch (format) {
    case PackedFormat::kQ8_0:
      return QuantizeQ8(use, values, n, row);
    case PackedFormat::kQ4_0:
      return QuantizeQ4(values, n, row);
    case PackedFormat::kQ4_K:
      return QuantizeQ4K(values, n, row);
  }
}

void UnpackRow(PackedFormat format, RowUse use, const uint8_t* row, int64_t n, float* values) {
  const int64_t blocks = n / kBlock;
  if (format == PackedFormat::kQ8_0) {
    for (int64_t i = 0; i < n; ++i) {
      const int q =
          use == RowUse::kAxpy ? static_cast<int8_t>(row[i]) : row[Q8DotOffset(i, n)] - 128;
      values[i] = LoadF16(row + n + i / kBlock * 2) * static_cast<float>(q);
    }
  } else if (format == PackedFormat::kQ4_0) {
    for (int64_t i = 0; i < n; ++i) {
      values[i] = LoadF16(row + n / 2 + i / kBlock * 2) * static_cast<float>(Nibble(row, i) - 8);
    }
  } else {
    const uint8_t* scales = row + n / 2;
    const uint8_t* mins = scales + blocks;
    const uint8_t* outer = mins + blocks;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t b = i / kBlock;
      const float scale = LoadF16(outer + b / 8 * 2) * static_cast<float>(scales[b]);
      const float min = LoadF16(outer + (SuperBlocks(n) + b / 8) * 2) * static_cast<float>(mins[b]);
      values[i] = scale * static_cast<float>(Nibble(row, i)) - min;
    }
  }
}

void SplitPlanes(const uint8_t* row, int64_t n, uint8_t* high, uint8_t* low) {
  for (int64_t b = 0; b < n / kBlock; ++b) {
    uint8_t high_half[kBlock];
    uint8_t low_half[kBlock];
    for (int64_t j = 0; j < kBlock; ++j) {
      const uint8_t value = row[Q8DotOffset(b * kBlock + j, n)];
      high_half[j] = value >> 4;
      low_half[j] = value & 0xF;
    }
    PackNibbles(high_half, high + b * 16);
    PackNibbles(low_half, low + b * 16);
  }
  std::copy_n(row + n, n / kBlock * 2, high + n / 2);
}

void UnpackPlanes(const uint8_t* high, const uint8_t* low, int64_t n, float* values) {
  for (int64_t i = 0; i < n; ++i) {
    const int q = Nibble(high, i) * 16 + Nibble(low, i) - 128;
    values[i] = LoadF16(high + n / 2 + i / kBlock * 2) * static_cast<float>(q);
  }
}

}  // namespace stocha
