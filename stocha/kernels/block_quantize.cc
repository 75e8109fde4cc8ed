#include "stocha/kernels/block_quantize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "stocha/base/dtype.h"

namespace stocha {
namespace {

constexpr int kValues = 32;

// The nearest integer from low to high, ties to even: what nearbyint and a clamp give, in a form
// that compilers turn into vectors. |low| and |high| are below 2^21.
float RoundWithin(float x, float low, float high) {
  constexpr float kShift = 12582912;  // 1.5 * 2^23: a float this large has no fraction
  return (std::min(std::max(x, low), high) + kShift) - kShift;
}

// The least squares scale and offset of one block, w = scale q - min, min >= 0: q is rounded with a
// few trial scales, and the best fit kept.
struct AffineFit {
  float scale = 0;
  float min = 0;
};

AffineFit FitBlock(const float* values) {
  const auto [lowest, highest] = std::minmax_element(values, values + kValues);
  const float low = std::min(*lowest, 0.0F);
  const float range = *highest - low;
  if (range <= 0) return {.min = -low};
  AffineFit best = {.scale = range / 15, .min = -low};
  float best_error = INFINITY;
  for (int trial = 0; trial <= 20; ++trial) {
    const float inverse = (14.0F + 0.1F * static_cast<float>(trial)) / range;
    float sum_q = 0;
    float sum_qq = 0;
    float sum_w = 0;
    float sum_qw = 0;
    for (int i = 0; i < kValues; ++i) {
      const float q = RoundWithin((values[i] - low) * inverse, 0, 15);
      sum_q += q;
      sum_qq += q * q;
      sum_w += values[i];
      sum_qw += q * values[i];
    }
    const float determinant = kValues * sum_qq - sum_q * sum_q;
    if (determinant <= 0) continue;
    AffineFit fit = {.scale = (kValues * sum_qw - sum_q * sum_w) / determinant,
                     .min = (sum_q * sum_qw - sum_qq * sum_w) / determinant};
    if (fit.min < 0) fit = {.scale = sum_qw / sum_qq, .min = 0};
    if (fit.scale <= 0) continue;
    float error = 0;
    for (int i = 0; i < kValues; ++i) {
      const float q = RoundWithin((values[i] + fit.min) / fit.scale, 0, 15);
      const float difference = fit.scale * q - fit.min - values[i];
      error += difference * difference;
    }
    if (error < best_error) {
      best_error = error;
      best = fit;
    }
  }
  return best;
}

// The least squares scale for w = scale * round(w * inverse), and by how much it lowers the sum of
// w^2 (not at all when that is not finite).
struct ScaleFit {
  float scale = 0;
  float gain = 0;
};

template <int kCount = kValues>
ScaleFit FitScale(const float* values, float inverse, float low, float high) {
  constexpr int kLanes = 8;  // sums side by side, which compilers turn into vectors
  float sum_qq[kLanes] = {};
  float sum_qw[kLanes] = {};
  for (int first = 0; first < kCount; first += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float q = RoundWithin(values[first + lane] * inverse, low, high);
      sum_qq[lane] += q * q;
      sum_qw[lane] += q * values[first + lane];
    }
  }
  const float qq = std::accumulate(sum_qq, sum_qq + kLanes, 0.0F);
  const float qw = std::accumulate(sum_qw, sum_qw + kLanes, 0.0F);
  return qq > 0 ? ScaleFit{.scale = qw / qq, .gain = qw / qq * qw} : ScaleFit{};
}

// The nearest q for w = d q, and the squared error.
float RoundQ8(const float* values, float d, int8_t* q) {
  const float inverse = d == 0 ? 0 : 1 / d;
  float error = 0;
  for (int i = 0; i < kValues; ++i) {
    const float rounded = RoundWithin(values[i] * inverse, -127, 127);
    q[i] = static_cast<int8_t>(rounded);
    const float difference = d * rounded - values[i];
    error += difference * difference;
  }
  return error;
}

// The nearest q for w = d (q - 8), and the squared error.
float RoundQ4(const float* values, float d, uint8_t* q) {
  const float inverse = d == 0 ? 0 : 1 / d;
  float error = 0;
  for (int i = 0; i < kValues; ++i) {
    const float rounded = RoundWithin(values[i] * inverse, -8, 7);
    q[i] = static_cast<uint8_t>(rounded + 8);
    const float difference = d * rounded - values[i];
    error += difference * difference;
  }
  return error;
}

// Rounds with the scale that ggml takes, or with the fitted one where its error is less; returns
// the scale, as f16 bits. round(values, scale, q): the error.
template <typename Q>
uint16_t RoundBetter(const float* values, float ggml_scale, float fitted_scale,
                     float (*round)(const float*, float, Q*), Q* q) {
  const uint16_t first = F32ToF16(ggml_scale);
  const float first_error = round(values, F16ToF32(first), q);
  const uint16_t d = F32ToF16(fitted_scale);
  Q fitted[kValues];
  if (round(values, F16ToF32(d), fitted) >= first_error) return first;
  std::copy_n(fitted, kValues, q);
  return d;
}

}  // namespace

uint16_t QuantizeBlockQ8(const float* values, int8_t* q) {
  float largest = 0;
  for (int i = 0; i < kValues; ++i) largest = std::max(largest, std::abs(values[i]));
  // As ggml has it, the largest becomes 127. Others make it a little less.
  ScaleFit best;
  for (int trial = 1; trial <= 32; ++trial) {
    const float end = 127 - 0.5F * static_cast<float>(trial);
    const ScaleFit fit = FitScale(values, end / largest, -127, 127);
    if (fit.gain > best.gain) best = fit;
  }
  return RoundBetter(values, largest / 127, best.scale, RoundQ8, q);
}

uint16_t QuantizeBlockQ4(const float* values, uint8_t* q) {
  const float* extreme = std::max_element(
      values, values + kValues, [](float a, float b) { return std::abs(a) < std::abs(b); });
  // As ggml has it, the extreme becomes -8. Others make it a value near either end of the range.
  ScaleFit best;
  for (int trial = 0; trial < 17; ++trial) {
    const float end = trial < 11 ? -9.0F + 0.25F * static_cast<float>(trial)
                                 : 6.25F + 0.25F * static_cast<float>(trial - 11);
    const ScaleFit fit = FitScale(values, end / *extreme, -8, 7);
    if (fit.gain > best.gain) best = fit;
  }
  return RoundBetter(values, *extreme / -8, best.scale, RoundQ4, q);
}

void QuantizeSuperBlockQ4K(const float* values, SuperBlockQ4K* block) {
  constexpr size_t kBlocks = 8;
  const float kMaxScale = 63;
  AffineFit fits[kBlocks];
  float largest_scale = 0;
  float largest_min = 0;
  for (size_t b = 0; b < kBlocks; ++b) {
    fits[b] = FitBlock(values + b * kValues);
    largest_scale = std::max(largest_scale, fits[b].scale);
    largest_min = std::max(largest_min, fits[b].min);
  }
  block->d = F32ToF16(largest_scale / kMaxScale);
  block->e = F32ToF16(largest_min / kMaxScale);
  const float d = F16ToF32(block->d);
  const float e = F16ToF32(block->e);
  for (size_t b = 0; b < kBlocks; ++b) {
    const auto round = [kMaxScale](float x, float unit) {
      return unit == 0 ? 0.0F : std::min(std::nearbyint(x / unit), kMaxScale);
    };
    block->scale[b] = static_cast<uint8_t>(round(fits[b].scale, d));
    block->min[b] = static_cast<uint8_t>(round(fits[b].min, e));
    const float scale = d * static_cast<float>(block->scale[b]);
    const float min = e * static_cast<float>(block->min[b]);
    for (size_t i = 0; i < kValues; ++i) {
      const float q = scale == 0 ? 0 : std::nearbyint((values[b * kValues + i] + min) / scale);
      block->q[b * kValues + i] = static_cast<uint8_t>(std::clamp(q, 0.0F, 15.0F));
    }
  }
}

void QuantizeSuperBlockQ6K(const float* values, SuperBlockQ6K* block) {
  constexpr size_t kHalves = 16;
  constexpr size_t kHalfValues = 16;
  float fits[kHalves] = {};
  float extreme_fit = 0;
  for (size_t h = 0; h < kHalves; ++h) {
    const float* half = values + h * kHalfValues;
    const float* extreme = std::max_element(
        half, half + kHalfValues, [](float a, float b) { return std::abs(a) < std::abs(b); });
    ScaleFit best;
    // The extreme becomes a value near either end of the range.
    for (int trial = 0; trial < 32; ++trial) {
      const float end = trial < 24 ? -33.5F + 0.15F * static_cast<float>(trial)
                                   : 30.1F + 0.2F * static_cast<float>(trial - 24);
      const ScaleFit fit = FitScale<kHalfValues>(half, end / *extreme, -32, 31);
      if (fit.gain > best.gain) best = fit;
    }
    fits[h] = best.scale;
    if (std::abs(best.scale) > std::abs(extreme_fit)) extreme_fit = best.scale;
  }
  block->d = F32ToF16(extreme_fit / -128);
  const float d = F16ToF32(block->d);
  for (size_t h = 0; h < kHalves; ++h) {
    const float wanted = d == 0 ? 0 : RoundWithin(fits[h] / d, -128, 127);
    block->scale[h] = static_cast<int8_t>(wanted);
    const float scale = d * wanted;
    for (size_t i = h * kHalfValues; i < (h + 1) * kHalfValues; ++i) {
      const float q = scale == 0 ? 0 : RoundWithin(values[i] / scale, -32, 31);
      block->q[i] = static_cast<uint8_t>(q + 32);
    }
  }
}

}  // namespace stocha
