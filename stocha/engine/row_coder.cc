#include "stocha/engine/row_coder.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "stocha/base/dtype.h"

namespace stocha {

RowError EncodeRow(WeightType type, RowUse use, const float* values, int64_t cols, std::byte* row,
                   std::byte* low) {
  RowError sums;
  for (int64_t i = 0; i < cols; ++i) {
    sums.squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  if (!std::isfinite(sums.squares)) return sums;
  auto* bytes = reinterpret_cast<uint8_t*>(row);
  std::vector<float> rounded(static_cast<size_t>(cols));
  switch (type) {
    case WeightType::kF32:
      std::memcpy(row, values, static_cast<size_t>(cols) * sizeof(float));
      return sums;
    case WeightType::kBF16:
      for (int64_t i = 0; i < cols; ++i) {
        const uint16_t bits = F32ToBF16(values[i]);
        std::memcpy(row + 2 * i, &bits, sizeof(bits));
        rounded[i] = BF16ToF32(bits);
      }
      break;
    case WeightType::kPlanes: {
      std::vector<uint8_t> whole(static_cast<size_t>(RowBytes(PackedFormat::kQ8_0, cols)));
      QuantizeRow(PackedFormat::kQ8_0, use, values, cols, whole.data());
      SplitPlanes(whole.data(), cols, bytes, reinterpret_cast<uint8_t*>(low));
      UnpackRow(PackedFormat::kQ8_0, use, whole.data(), cols, rounded.data());
      break;
    }
    default:
      QuantizeRow(FormatOf(type), use, values, cols, bytes);
      UnpackRow(FormatOf(type), use, bytes, cols, rounded.data());
  }
  for (int64_t i = 0; i < cols; ++i) {
    const double difference = static_cast<double>(values[i]) - static_cast<double>(rounded[i]);
    sums.error += difference * difference;
  }
  return sums;
}

}  // namespace stocha
