// The vector kernels for NEON with dot products (ARMv8.2-A and later): V, B and I are four
// registers.
#include <arm_neon.h>

#include "stocha/kernels/kernel_sets.h"
#include "stocha/kernels/packed.h"

namespace {

// The tile of `dot` kept in registers: 2 x 2 sums, 2 weights, 1 input, of 4 registers each, of 32.
constexpr int kTileRows = 2;
constexpr int kTileTokens = 2;
constexpr int kTileScatteredRows = 4;  // of a token alone
constexpr int kAxpyTileTokens = 6;
using TileParts = struct Whole;

struct V {
  float32x4_t q[4];
};

// R of op on each register of the operands.
template <typename R, typename Op, typename... X>
inline R Each(const Op& op, const X&... x) {
  return {{op(x.q[0]...), op(x.q[1]...), op(x.q[2]...), op(x.q[3]...)}};
}
// R of four times the same register.
template <typename R, typename Register>
inline R Repeat(Register x) {
  return {{x, x, x, x}};
}

inline V Broadcast(float x) { return Repeat<V>(vdupq_n_f32(x)); }
inline V Load(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
inline float32x4_t Widen(const uint16_t* p) {
  return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
inline V Load(const uint16_t* p) { return {{Widen(p), Widen(p + 4), Widen(p + 8), Widen(p + 12)}}; }
// The first `count` < 16 elements, then zeros.
template <typename T>
inline V LoadFirst(const T* p, int64_t count) {
  T padded[16] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count) * sizeof(T));
  return Load(padded);
}
inline void Store(float* p, V x) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.q[i]);
}
inline void StoreFirst(float* p, int64_t count, V x) {
  float values[16];
  Store(values, x);
  __builtin_memcpy(p, values, static_cast<uint64_t>(count) * sizeof(float));
}

inline V Add(V a, V b) {
  return Each<V>([](float32x4_t x, float32x4_t y) { return vaddq_f32(x, y); }, a, b);
}
inline V Sub(V a, V b) {
  return Each<V>([](float32x4_t x, float32x4_t y) { return vsubq_f32(x, y); }, a, b);
}
inline V Mul(V a, V b) {
  return Each<V>([](float32x4_t x, float32x4_t y) { return vmulq_f32(x, y); }, a, b);
}
inline V Div(V a, V b) {
  return Each<V>([](float32x4_t x, float32x4_t y) { return vdivq_f32(x, y); }, a, b);
}
inline V Fma(V a, V b, V c) {
  return Each<V>([](float32x4_t x, float32x4_t y, float32x4_t z) { return vfmaq_f32(z, x, y); }, a,
                 b, c);
}
inline V NegativeFma(V a, V b, V c) {
  return Each<V>([](float32x4_t x, float32x4_t y, float32x4_t z) { return vfmsq_f32(z, x, y); }, a,
                 b, c);
}
// b where either is NaN.
inline V Max(V a, V b) {
  return Each<V>([](float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }, a,
                 b);
}
inline V Min(V a, V b) {
  return Each<V>([](float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }, a,
                 b);
}
inline V RoundToInteger(V x) {
  return Each<V>([](float32x4_t lanes) { return vrndnq_f32(lanes); }, x);
}
inline V NegativeAbs(V x) {
  return Each<V>([](float32x4_t lanes) { return vnegq_f32(vabsq_f32(lanes)); }, x);
}
inline V SelectNegative(V x, V if_negative, V otherwise) {
  return Each<V>(
      [](float32x4_t lanes, float32x4_t yes, float32x4_t no) {
        return vbslq_f32(vcltzq_s32(vreinterpretq_s32_f32(lanes)), yes, no);
      },
      x, if_negative, otherwise);
}
// 2^x for integers -126 <= x <= 127.
inline V PowerOfTwo(V x) {
  return Each<V>(
      [](float32x4_t lanes) {
        const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(lanes), vdupq_n_s32(127));
        return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
      },
      x);
}
// Lanes i + 8, then + 4, + 2, + 1.
inline float SumLanes(V x) {
  const float32x4_t sums4 = vaddq_f32(vaddq_f32(x.q[0], x.q[2]), vaddq_f32(x.q[1], x.q[3]));
  const float32x2_t sums2 = vadd_f32(vget_low_f32(sums4), vget_high_f32(sums4));
  return vget_lane_f32(sums2, 0) + vget_lane_f32(sums2, 1);
}

#include "stocha/kernels/vector.inc"

// --- What packed.inc works with.

constexpr int kTileVectors = 2;  // sums kept in registers, of vectors that share 16 rows
constexpr int kTilePanels = 1;   // of 16 rows, which share those vectors
constexpr bool kSumsWords = false;
constexpr bool ForeseesRows(bool, int64_t) { return true; }
constexpr int64_t kFetchAhead = 4096;
constexpr int kAxpyVectors = 2;
constexpr int64_t LeastPanelVectors(bool) { return 13; }  // from which on transposing rows pays
constexpr bool kHasTiles = false;

struct B {
  uint8x16_t q[4];
};
struct I {
  int32x4_t q[4];
};

inline B LoadBytes(const uint8_t* p) {
  return {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}
// `parts` < 4 times 16 bytes, then zeros.
inline B LoadBytesFirst(const uint8_t* p, int64_t parts) {
  const auto part = [=](int64_t i) { return i < parts ? vld1q_u8(p + 16 * i) : vdupq_n_u8(0); };
  return {{part(0), part(1), part(2), vdupq_n_u8(0)}};
}
inline void StoreBytes(uint8_t* p, B x) {
  for (int i = 0; i < 4; ++i) vst1q_u8(p + 16 * i, x.q[i]);
}
inline B AsBytes(V x) {
  return Each<B>([](float32x4_t lanes) { return vreinterpretq_u8_f32(lanes); }, x);
}
inline B AsBytes(I x) {
  return Each<B>([](int32x4_t lanes) { return vreinterpretq_u8_s32(lanes); }, x);
}
inline B BroadcastDword(const uint8_t* p) {
  uint32_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return Repeat<B>(vreinterpretq_u8_u32(vdupq_n_u32(value)));
}
inline uint8x16_t LowNibbles(uint8x16_t x) { return vandq_u8(x, vdupq_n_u8(0xF)); }
inline uint8x16_t HighNibbles(uint8x16_t x) { return vshrq_n_u8(x, 4); }
inline B LowNibbles(B x) {
  return Each<B>([](uint8x16_t bytes) { return LowNibbles(bytes); }, x);
}
inline B HighNibbles(B x) {
  return Each<B>([](uint8x16_t bytes) { return HighNibbles(bytes); }, x);
}
// Bytes of a nibble of `high` and one of `low`, the low ones of both or the high ones.
inline B JoinLowNibbles(B high, B low) {
  return Each<B>([](uint8x16_t h, uint8x16_t l) { return vsliq_n_u8(l, h, 4); }, high, low);
}
inline B JoinHighNibbles(B high, B low) {
  return Each<B>([](uint8x16_t h, uint8x16_t l) { return vsriq_n_u8(h, l, 4); }, high, low);
}

// Of each byte the bits 0, 1, 4 and 5; or 2, 3, 6 and 7 in their place.
inline B LowPairs(B x) {
  return Each<B>([](uint8x16_t bytes) { return vandq_u8(bytes, vdupq_n_u8(0x33)); }, x);
}
inline B HighPairs(B x) {
  return LowPairs(Each<B>([](uint8x16_t bytes) { return vshrq_n_u8(bytes, 2); }, x));
}

inline I BroadcastInt(int32_t x) { return Repeat<I>(vdupq_n_s32(x)); }
inline I ZeroInts() { return BroadcastInt(0); }
inline I LoadInts(const int32_t* p) {
  return {{vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)}};
}
inline I AddInts(I a, I b) {
  return Each<I>([](int32x4_t x, int32x4_t y) { return vaddq_s32(x, y); }, a, b);
}
inline I SubInts(I a, I b) {
  return Each<I>([](int32x4_t x, int32x4_t y) { return vsubq_s32(x, y); }, a, b);
}
inline I MulInts(I a, I b) {
  return Each<I>([](int32x4_t x, int32x4_t y) { return vmulq_s32(x, y); }, a, b);
}
inline I MulInts(I a, int32_t b) { return MulInts(a, BroadcastInt(b)); }
template <int kBits>
inline I ShiftLeft(I x) {
  return Each<I>([](int32x4_t lanes) { return vshlq_n_s32(lanes, kBits); }, x);
}
inline int32_t SumInts(I x) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(x.q[0], x.q[1]), vaddq_s32(x.q[2], x.q[3])));
}
inline V ToFloats(I x) {
  return Each<V>([](int32x4_t lanes) { return vcvtq_f32_s32(lanes); }, x);
}
inline I RoundToInts(V x) {
  return Each<I>([](float32x4_t lanes) { return vcvtnq_s32_f32(lanes); }, x);
}
inline float MinLane(V x) {
  return vminvq_f32(vminq_f32(vminq_f32(x.q[0], x.q[1]), vminq_f32(x.q[2], x.q[3])));
}

inline float32x4_t FromF16(const uint8_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}
inline V LoadF16(const uint8_t* p) {
  return {{FromF16(p), FromF16(p + 8), FromF16(p + 16), FromF16(p + 24)}};
}
inline V LoadF16First(const uint8_t* p, int64_t count) {
  uint8_t padded[32] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count) * 2);
  return LoadF16(padded);
}
// Two f16 numbers, 8 lanes each; only the first for count <= 8.
inline V Spread8(const uint8_t* p, int64_t count) {
  uint8_t padded[8] = {};
  __builtin_memcpy(padded, p, count > 8 ? 4 : 2);
  const float32x4_t both = FromF16(padded);
  const float32x4_t first = vdupq_laneq_f32(both, 0);
  const float32x4_t second = vdupq_laneq_f32(both, 1);
  return {{first, first, second, second}};
}
inline I SignedInts(const uint8_t* p) {
  const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(p));
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
  const int16x8_t high = vmovl_high_s8(bytes);
  return {{vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
           vmovl_high_s16(high)}};
}
inline I SignedIntsFirst(const uint8_t* p, int64_t count) {
  uint8_t padded[16] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count));
  return SignedInts(padded);
}
inline V SignedFloats(int8x16_t bytes) {
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
  const int16x8_t high = vmovl_high_s8(bytes);
  return ToFloats({{vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low),
                    vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)}});
}
inline V SignedBytes(const uint8_t* p) { return SignedFloats(vreinterpretq_s8_u8(vld1q_u8(p))); }
inline V UnsignedBytes(const uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes));
  const uint16x8_t high = vmovl_high_u8(bytes);
  const auto floats = [](uint32x4_t lanes) { return vcvtq_f32_u32(lanes); };
  return {{floats(vmovl_u16(vget_low_u16(low))), floats(vmovl_high_u16(low)),
           floats(vmovl_u16(vget_low_u16(high))), floats(vmovl_high_u16(high))}};
}
inline V UnsignedBytesFirst(const uint8_t* p, int64_t count) {
  uint8_t padded[16] = {};
  __builtin_memcpy(padded, p, static_cast<uint64_t>(count));
  return UnsignedBytes(padded);
}
// The 32 values of 16 bytes of nibbles, less kOffset.
template <int kOffset>
inline void NibblesAsFloats(const uint8_t* p, V* low, V* high) {
  const auto values = [](uint8x16_t nibbles) {
    return SignedFloats(vsubq_s8(vreinterpretq_s8_u8(nibbles), vdupq_n_s8(kOffset)));
  };
  const uint8x16_t bytes = vld1q_u8(p);
  *low = values(LowNibbles(bytes));
  *high = values(HighNibbles(bytes));
}
// The low byte of each lane.
inline void StoreSignedBytes(int8_t* p, I x) {
  const int16x8_t low = vmovn_high_s32(vmovn_s32(x.q[0]), x.q[1]);
  const int16x8_t high = vmovn_high_s32(vmovn_s32(x.q[2]), x.q[3]);
  vst1q_s8(p, vmovn_high_s16(vmovn_s16(low), high));
}

// acc[lane] += sum over 4 bytes of w times x; a wide w is unsigned, its offset of 128 is taken off.
template <bool kWide>
inline I DotBytes(I acc, B w, B x) {
  return Each<I>(
      [](int32x4_t sums, uint8x16_t weights, uint8x16_t values) {
        if constexpr (kWide) weights = veorq_u8(weights, vdupq_n_u8(0x80));
        return vdotq_s32(sums, vreinterpretq_s8_u8(weights), vreinterpretq_s8_u8(values));
      },
      acc, w, x);
}
inline I CenterWide(I dots, I) { return dots; }

// Four lanes a block, chunk by chunk, into one lane a block.
inline I SumChunks(const I* chunks) {
  const auto blocks4 = [](const I& x) {
    return vpaddq_s32(vpaddq_s32(x.q[0], x.q[1]), vpaddq_s32(x.q[2], x.q[3]));
  };
  return {{blocks4(chunks[0]), blocks4(chunks[1]), blocks4(chunks[2]), blocks4(chunks[3])}};
}

// 4 x 4 dwords: of `rows`, quarter `from`, into `out`, quarter `to`.
inline void Transpose4(const B* rows, int from, B* out, int to) {
  const auto row = [=](int i) { return vreinterpretq_u32_u8(rows[i].q[from]); };
  const auto even = [&](int i) { return vreinterpretq_u64_u32(vtrn1q_u32(row(i), row(i + 1))); };
  const auto odd = [&](int i) { return vreinterpretq_u64_u32(vtrn2q_u32(row(i), row(i + 1))); };
  out[0].q[to] = vreinterpretq_u8_u64(vtrn1q_u64(even(0), even(2)));
  out[1].q[to] = vreinterpretq_u8_u64(vtrn1q_u64(odd(0), odd(2)));
  out[2].q[to] = vreinterpretq_u8_u64(vtrn2q_u64(even(0), even(2)));
  out[3].q[to] = vreinterpretq_u8_u64(vtrn2q_u64(odd(0), odd(2)));
}
// 16 x 16 dwords.
inline void Transpose(B* rows) {
  B from[16];
  __builtin_memcpy(from, rows, sizeof(from));
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) Transpose4(from + 4 * i, j, rows + 4 * j, i);
  }
}

#include "stocha/kernels/packed.inc"
#include "stocha/kernels/packed_panel.inc"
#include "stocha/kernels/vector_table.inc"

}  // namespace

namespace stocha {
const KernelTable kNeonKernels = kVectorKernels;
}  // namespace stocha
