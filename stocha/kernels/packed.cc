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

// Each lays out one step of `blocks` blocks.

void QuantizeQ8(RowUse use, const float* values, int64_t blocks, uint8_t* step) {
  uint8_t* scales = step + ValueBytes(PackedFormat::kQ8_0, blocks);
  for (int64_t b = 0; b < blocks; ++b) {
    int8_t q[kBlock];
    StoreF16(scales + 2 * b, QuantizeBlockQ8(values + b * kBlock, q));
    for (int64_t j = 0; j < kBlock; ++j) {
      const int64_t i = b * kBlock + j;
      if (use == RowUse::kAxpy) {
        step[i] = static_cast<uint8_t>(q[j]);
      } else {
        step[Q8DotOffset(i, blocks)] = static_cast<uint8_t>(q[j] + 128);
      }
    }
  }
}

void QuantizeQ4(const float* values, int64_t blocks, uint8_t* step) {
  uint8_t* scales = step + ValueBytes(PackedFormat::kQ4_0, blocks);
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t q[kBlock];
    StoreF16(scales + 2 * b, QuantizeBlockQ4(values + b * kBlock, q));
    PackNibbles(q, step + b * 16);
  }
}

void QuantizeQ4K(const float* values, int64_t blocks, uint8_t* step) {
  const int64_t supers = SuperBlocks(blocks * kBlock);
  uint8_t* scales = step + ValueBytes(PackedFormat::kQ4_K, blocks);
  uint8_t* mins = scales + blocks;
  uint8_t* outer = mins + blocks;
  for (int64_t s = 0; s < supers; ++s) {
    // Zeros fill the last one, and are not stored.
    float whole[kSuperBlock] = {};
    const int64_t count = std::min(kSuperBlock, blocks * kBlock - s * kSuperBlock);
    std::copy_n(values + s * kSuperBlock, count, whole);
    SuperBlockQ4K block;
    QuantizeSuperBlockQ4K(whole, &block);
    for (int64_t b = 0; b < count / kBlock; ++b) {
      PackNibbles(block.q + b * kBlock, step + (s * 8 + b) * 16);
      scales[s * 8 + b] = block.scale[b];
      mins[s * 8 + b] = block.min[b];
    }
    StoreF16(outer + 2 * s, block.d);
    StoreF16(outer + 2 * (supers + s), block.e);
  }
}

void QuantizeQ6K(const float* values, int64_t blocks, uint8_t* step) {
  const int64_t supers = SuperBlocks(blocks * kBlock);
  uint8_t* pairs = step + NibbleBytes(blocks);
  uint8_t* scales = step + ValueBytes(PackedFormat::kQ6_K, blocks);
  std::fill(pairs, scales, uint8_t{0});
  for (int64_t s = 0; s < supers; ++s) {
    float whole[kSuperBlock] = {};  // as in q4_k
    const int64_t count = std::min(kSuperBlock, blocks * kBlock - s * kSuperBlock);
    std::copy_n(values + s * kSuperBlock, count, whole);
    SuperBlockQ6K block;
    QuantizeSuperBlockQ6K(whole, &block);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = s * 4 * 16 + i % (4 * kBlock) / kBlock * 16 + i % 16;
      const int64_t shift = 2 * (i / (4 * kBlock)) + 4 * (i % kBlock / 16);
      pairs[at] |= static_cast<uint8_t>(block.q[i] >> 4 << shift);
      block.q[i] &= 0xF;
    }
    for (int64_t b = 0; b < count / kBlock; ++b) {
      PackNibbles(block.q + b * kBlock, step + (s * 8 + b) * 16);
      for (int64_t half = 0; half < 2; ++half) {
        scales[half * blocks + s * 8 + b] = static_cast<uint8_t>(block.scale[2 * b + half]);
      }
    }
    StoreF16(scales + 2 * blocks + 2 * s, block.d);
  }
}

void UnpackQ8(RowUse use, const uint8_t* step, int64_t blocks, float* values) {
  const uint8_t* scales = step + ValueBytes(PackedFormat::kQ8_0, blocks);
  for (int64_t i = 0; i < blocks * kBlock; ++i) {
    const int q =
        use == RowUse::kAxpy ? static_cast<int8_t>(step[i]) : step[Q8DotOffset(i, blocks)] - 128;
    values[i] = LoadF16(scales + i / kBlock * 2) * static_cast<float>(q);
  }
}

void UnpackQ4(const uint8_t* step, int64_t blocks, float* values) {
  const uint8_t* scales = step + ValueBytes(PackedFormat::kQ4_0, blocks);
  for (int64_t i = 0; i < blocks * kBlock; ++i) {
    values[i] = LoadF16(scales + i / kBlock * 2) * static_cast<float>(Nibble(step, i) - 8);
  }
}

void UnpackQ4K(const uint8_t* step, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b) {
    const BlockQ4K block(step, blocks, b);
    for (int64_t i = b * kBlock; i < (b + 1) * kBlock; ++i) {
      values[i] = block.scale * static_cast<float>(Nibble(step, i)) - block.min;
    }
  }
}

void UnpackQ6K(const uint8_t* step, int64_t blocks, float* values) {
  for (int64_t i = 0; i < blocks * kBlock; ++i) {
    const BlockQ6K block(step, blocks, i / kBlock);
    const int64_t half = i % kBlock / 16;
    values[i] = block.d * static_cast<float>(block.scale[half]) *
                static_cast<float>(SixBits(step, blocks, i) - 32);
  }
}

}  // namespace

void QuantizeRow(PackedFormat format, RowUse use, const float* values, int64_t n, uint8_t* row) {
  for (int64_t first = 0; first < n; first += kStepValues) {
    const int64_t blocks = StepBlocks(n, first / kStepValues);
    uint8_t* step = StepOf(format, row, first / kStepValues);
    switch (format) {
      case PackedFormat::kQ8_0:
        QuantizeQ8(use, values + first, blocks, step);
        break;
      case PackedFormat::kQ4_0:
        QuantizeQ4(values + first, blocks, step);
        break;
      case PackedFormat::kQ4_K:
        QuantizeQ4K(values + first, blocks, step);
        break;
      case PackedFormat::kQ6_K:
        QuantizeQ6K(values + first, blocks, step);
        break;
    }
  }
}

void UnpackRow(PackedFormat format, RowUse use, const uint8_t* row, int64_t n, float* values) {
  for (int64_t first = 0; first < n; first += kStepValues) {
    const int64_t blocks = StepBlocks(n, first / kStepValues);
    const uint8_t* step = StepOf(format, row, first / kStepValues);
    switch (format) {
      case PackedFormat::kQ8_0:
        UnpackQ8(use, step, blocks, values + first);
        break;
      case PackedFormat::kQ4_0:
        UnpackQ4(step, blocks, values + first);
        break;
      case PackedFormat::kQ4_K:
        UnpackQ4K(step, blocks, values + first);
        break;
      case PackedFormat::kQ6_K:
        UnpackQ6K(step, blocks, values + first);
        break;
    }
  }
}

void SplitPlanes(const uint8_t* row, int64_t n, uint8_t* high, uint8_t* low) {
  for (int64_t first = 0; first < n; first += kStepValues) {
    const int64_t blocks = StepBlocks(n, first / kStepValues);
    const uint8_t* step = StepOf(PackedFormat::kQ8_0, row, first / kStepValues);
    uint8_t* high_step = StepOf(PackedFormat::kQ4_0, high, first / kStepValues);
    for (int64_t b = 0; b < blocks; ++b) {
      uint8_t high_half[kBlock];
      uint8_t low_half[kBlock];
      for (int64_t j = 0; j < kBlock; ++j) {
        const uint8_t value = step[Q8DotOffset(b * kBlock + j, blocks)];
        high_half[j] = value >> 4;
        low_half[j] = value & 0xF;
      }
      PackNibbles(high_half, high_step + b * 16);
      PackNibbles(low_half, low + first / 2 + b * 16);
    }
    std::copy_n(step + ValueBytes(PackedFormat::kQ8_0, blocks), blocks * 2,
                high_step + ValueBytes(PackedFormat::kQ4_0, blocks));
  }
}

void UnpackPlanes(const uint8_t* high, const uint8_t* low, int64_t n, float* values) {
  for (int64_t first = 0; first < n; first += kStepValues) {
    const int64_t blocks = StepBlocks(n, first / kStepValues);
    const uint8_t* step = StepOf(PackedFormat::kQ4_0, high, first / kStepValues);
    const uint8_t* scales = step + ValueBytes(PackedFormat::kQ4_0, blocks);
    for (int64_t i = 0; i < blocks * kBlock; ++i) {
      const int q = Nibble(step, i) * 16 + Nibble(low, first + i) - 128;
      values[first + i] = LoadF16(scales + i / kBlock * 2) * static_cast<float>(q);
    }
  }
}

}  // namespace stocha
