#include "stocha/engine/quantize.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/engine/row_coder.h"

namespace stocha {
namespace {

constexpr int64_t kChunkWeights = int64_t{1} << 22;  // read and rounded together
constexpr int64_t kTaskRows = 16;                    // of one thread; columns are gathered so too

class Writer {
 public:
  Writer(const QuantizeSource& source, QuantizeType type, FfnLayout layout,
         const std::filesystem::path& output, ThreadPool& pool,
         const std::function<void(int64_t)>& progress)
      : source_(source),
        type_(type),
        layout_(layout),
        tensors_(ListPackedTensors(
            source.header.config,
            [type, layout](const TensorSpec& spec) {
              return FittingType(WantedType(type, spec.role, layout), spec.shape[1]);
            },
            layout)),
        writer_(output, Metadata(), Declared()),
        pool_(pool),
        progress_(progress) {}

  std::vector<QuantizedPart> Write() {
    for (const PackedTensor& tensor : tensors_) {
      switch (tensor.part) {
        case PackedPart::kVector:
          WriteVector(tensor);
          break;
        case PackedPart::kMatrix:
        case PackedPart::kHighPlane:
          WriteMatrix(tensor);
          break;
        case PackedPart::kLowPlane:
          writer_.Write(low_plane_);
          break;
        case PackedPart::kNeurons:
          WriteNeurons(tensor);
          break;
      }
    }
    writer_.Finish();
    std::vector<QuantizedPart> parts;
    parts.reserve(parts_.size());
    for (const auto& [key, part] : parts_) parts.push_back(part);
    return parts;
  }

 private:
  std::map<std::string, GgufValue, std::less<>> Metadata() const {
    PackedHeader header = source_.header;
    header.type = QuantizeTypeName(type_);
    header.config.dtype = type_ == QuantizeType::kBF16 ? DType::kBF16 : DType::kF32;
    return PackedMetadata(header, tensors_);
  }

  std::vector<GgufWriter::Declared> Declared() const {
    std::vector<GgufWriter::Declared> declared;
    declared.reserve(tensors_.size());
    for (const PackedTensor& tensor : tensors_) {
      declared.push_back({tensor.name, tensor.stored, tensor.shape});
    }
    return declared;
  }

  void Count(const PackedTensor& tensor, TensorRole role, int64_t bytes, const RowError& sums) {
    if (!std::isfinite(sums.squares) || !std::isfinite(sums.error)) {
      throw Error({.where = "model",
                   .what = "tensor \"" + tensor.name + "\" cannot be stored",
                   .got = "NaN, infinity or a value too large",
                   .expected = "weights in the range of " + tensor.format});
    }
    QuantizedPart& part = parts_[{PartOf(role), tensor.type}];
    part.part = ModelPartName(PartOf(role));
    part.type = tensor.type;
    part.wanted =
        tensor.part == PackedPart::kVector ? WeightType::kF32 : WantedType(type_, role, layout_);
    part.bytes += bytes;
    part.squares += sums.squares;
    part.error += sums.error;
  }

  void Advance(int64_t weights) {
    done_ += weights;
    progress_(done_);
  }

  void WriteVector(const PackedTensor& tensor) {
    const int64_t size = tensor.spec.shape[0];
    const std::vector<float> values = source_.read(tensor.spec, 0, size);
    std::vector<std::byte> bytes(values.size() * sizeof(float));
    const RowError sums =
        EncodeRow(WeightType::kF32, RowUse::kDot, values.data(), size, bytes.data());
    Count(tensor, tensor.spec.role, static_cast<int64_t>(bytes.size()), sums);
    writer_.Write(bytes);
    Advance(size);
  }

  // encode(row) for rows 0 .. rows - 1, summed in their order.
  template <typename Sums, typename Encode>
  Sums EncodeAll(int64_t rows, const Encode& encode) {
    const auto tasks = static_cast<int>((rows + kTaskRows - 1) / kTaskRows);
    std::vector<Sums> sums(static_cast<size_t>(tasks));
    pool_.ParallelFor(tasks, [&](int task, int) {
      encode(task * kTaskRows, std::min((task + 1) * kTaskRows, rows), &sums[task]);
    });
    Sums total;
    for (const Sums& part : sums) total += part;
    return total;
  }

  void WriteMatrix(const PackedTensor& tensor) {
    const int64_t rows = tensor.spec.shape[0];
    const int64_t cols = tensor.spec.shape[1];
    const bool planes = tensor.part == PackedPart::kHighPlane;
    const int64_t row_bytes = tensor.shape[1] * BlockOf(tensor.stored).bytes;
    const int64_t low_bytes = planes ? LowPlaneBytes(cols) : 0;
    low_plane_.resize(static_cast<size_t>(rows * low_bytes));
    const int64_t chunk = std::clamp<int64_t>(kChunkWeights / cols, 1, rows);
    std::vector<std::byte> bytes(static_cast<size_t>(chunk * row_bytes));
    for (int64_t first = 0; first < rows; first += chunk) {
      const int64_t count = std::min(chunk, rows - first);
      const std::vector<float> values = source_.read(tensor.spec, first, count);
      std::byte* low = low_plane_.data() + first * low_bytes;
      const auto sums = EncodeAll<RowError>(count, [&](int64_t begin, int64_t end, RowError* sum) {
        for (int64_t r = begin; r < end; ++r) {
          *sum += EncodeRow(tensor.type, RowUse::kDot, values.data() + r * cols, cols,
                            bytes.data() + r * row_bytes, low + r * low_bytes);
        }
      });
      Count(tensor, tensor.spec.role, count * (row_bytes + low_bytes), sums);
      writer_.Write(std::span(bytes).first(static_cast<size_t>(count * row_bytes)));
      Advance(count * cols);
    }
  }

  struct NeuronError {
    RowError up;
    RowError down;
    NeuronError& operator+=(const NeuronError& other) {
      up += other.up;
      down += other.down;
      return *this;
    }
  };

  void WriteNeurons(const PackedTensor& tensor) {
    const TensorSpec& up_spec = tensor.spec;
    const TensorSpec down_spec = DownOf(up_spec);
    const int64_t neurons = up_spec.shape[0];
    const int64_t hidden = up_spec.shape[1];
    const std::vector<float> down = source_.read(down_spec, 0, hidden);  // [hidden, neurons]
    const int64_t row_bytes = tensor.shape[1] * BlockOf(tensor.stored).bytes / 2;
    const int64_t chunk = std::clamp<int64_t>(kChunkWeights / hidden, 1, neurons);
    std::vector<std::byte> bytes(static_cast<size_t>(chunk * 2 * row_bytes));
    for (int64_t first = 0; first < neurons; first += chunk) {
      const int64_t count = std::min(chunk, neurons - first);
      const std::vector<float> up = source_.read(up_spec, first, count);  // [count, hidden]
      const auto encode = [&](int64_t begin, int64_t end, NeuronError* sum) {
        std::vector<float> columns(static_cast<size_t>((end - begin) * hidden));  // transposed
        for (int64_t c = 0; c < hidden; ++c) {
          for (int64_t i = begin; i < end; ++i) {
            columns[(i - begin) * hidden + c] = down[c * neurons + first + i];
          }
        }
        for (int64_t i = begin; i < end; ++i) {
          std::byte* row = bytes.data() + i * 2 * row_bytes;
          sum->up += EncodeRow(tensor.type, RowUse::kDot, up.data() + i * hidden, hidden, row);
          sum->down += EncodeRow(tensor.type, RowUse::kAxpy, columns.data() + (i - begin) * hidden,
                                 hidden, row + row_bytes);
        }
      };
      const auto sums = EncodeAll<NeuronError>(count, encode);
      Count(tensor, TensorRole::kUp, count * row_bytes, sums.up);
      Count(tensor, TensorRole::kDown, count * row_bytes, sums.down);
      writer_.Write(std::span(bytes).first(static_cast<size_t>(count * 2 * row_bytes)));
      Advance(2 * count * hidden);
    }
  }

  TensorSpec DownOf(const TensorSpec& up) const {
    for (TensorSpec& spec : ListTensors(source_.header.config)) {
      if (spec.role == TensorRole::kDown && spec.layer == up.layer) return std::move(spec);
    }
    return {};
  }

  const QuantizeSource& source_;
  QuantizeType type_;
  FfnLayout layout_;
  std::vector<PackedTensor> tensors_;
  GgufWriter writer_;
  ThreadPool& pool_;
  const std::function<void(int64_t)>& progress_;
  int64_t done_ = 0;                  // weights
  std::vector<std::byte> low_plane_;  // of the gate whose high plane is written, [rows, bytes]
  std::map<std::pair<ModelPart, WeightType>, QuantizedPart> parts_;  // in the order of a summary
};

}  // namespace

double QuantizedPart::RelativeError() const {
  return squares == 0 ? 0 : std::sqrt(error / squares);
}

std::vector<QuantizedPart> Quantize(const QuantizeSource& source, QuantizeType type,
                                    FfnLayout layout, const std::filesystem::path& output,
                                    ThreadPool& pool,
                                    const std::function<void(int64_t)>& progress) {
  return Writer(source, type, layout, output, pool, progress).Write();
}

}  // namespace stocha
