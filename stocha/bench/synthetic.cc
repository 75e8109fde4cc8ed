#include "stocha/bench/synthetic.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "stocha/bench/random_rows.h"

namespace stocha {
namespace {

constexpr int64_t kTaskRows = 64;
constexpr size_t kWriteBytes = size_t{16} << 20;

// Of the embedding, which the residual stream begins with; logits of a tied head are then near 2.
constexpr double kEmbeddingDeviation = 0.05;
// What attention and the FFN of a layer each add to the residual stream, against the embedding: 16
// layers double it.
constexpr double kResidualGrowth = 0.3;
// Of act(gate)^2, where one neuron in ten fires and the gate has unit deviation.
constexpr double kMeanSquareActivation = 0.3;

float Deviation(const TensorSpec& spec, const ModelConfig& config) {
  const auto unit = [](int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); };
  const double added = kResidualGrowth * kEmbeddingDeviation;
  switch (spec.role) {
    case TensorRole::kEmbedding:
    case TensorRole::kHead:
      return kEmbeddingDeviation;
    case TensorRole::kAttentionOutput:
      return static_cast<float>(added * unit(config.q_size()));
    case TensorRole::kDown:
      return static_cast<float>(added * unit(config.intermediate_size) /
                                std::sqrt(kMeanSquareActivation));
    default:
      return static_cast<float>(unit(config.hidden_size));
  }
}

void FillRow(WeightType type, RowUse use, int64_t n, float deviation, RandomBits& bits,
             std::byte* row) {
  if (type == WeightType::kF32) {
    FillF32Row(n, deviation, bits, reinterpret_cast<float*>(row));
  } else if (type == WeightType::kBF16) {
    FillBF16Row(n, deviation, bits, reinterpret_cast<uint16_t*>(row));
  } else {
    FillPackedRow(FormatOf(type), use, n, deviation, bits, reinterpret_cast<uint8_t*>(row));
  }
}

// Near 1.
void FillVector(RandomBits& bits, float* values, int64_t n) {
  std::generate_n(values, n, [&] { return 0.9F + 0.2F * bits.NextUniform(); });
}

int64_t StoredBytes(const PackedTensor& tensor) {
  int64_t elements = 1;
  for (const int64_t size : tensor.shape) elements *= size;
  const GgmlBlock block = BlockOf(tensor.stored);
  return elements / block.elements * block.bytes;
}

// One row of a tensor, out of bits of its own, so that threads may share the work as they like.
void FillTensorRow(const PackedTensor& tensor, const ModelConfig& config, RandomBits bits,
                   std::byte* row) {
  const int64_t n = tensor.spec.shape.back();
  const float deviation = Deviation(tensor.spec, config);
  switch (tensor.part) {
    case PackedPart::kVector:
      return FillVector(bits, reinterpret_cast<float*>(row), n);
    case PackedPart::kMatrix:
      return FillRow(tensor.type, RowUse::kDot, n, deviation, bits, row);
    case PackedPart::kHighPlane:
      return FillHighPlaneRow(n, deviation, bits, reinterpret_cast<uint8_t*>(row));
    case PackedPart::kLowPlane:
      return FillLowPlaneRow(n, bits, reinterpret_cast<uint8_t*>(row));
    case PackedPart::kNeurons: {
      TensorSpec down = tensor.spec;
      down.role = TensorRole::kDown;
      FillRow(tensor.type, RowUse::kDot, n, deviation, bits, row);
      FillRow(tensor.type, RowUse::kAxpy, n, Deviation(down, config), bits,
              row + Matrix{.type = tensor.type, .cols = n}.RowBytes());
    }
  }
}

void FillTensor(const PackedTensor& tensor, const ModelConfig& config, uint64_t seed,
                std::byte* data, ThreadPool& pool) {
  const int64_t rows = tensor.part == PackedPart::kVector ? 1 : tensor.shape[0];
  const int64_t row_bytes = StoredBytes(tensor) / rows;
  pool.ParallelFor(static_cast<int>((rows + kTaskRows - 1) / kTaskRows), [&](int task, int) {
    const int64_t last = std::min((task + 1) * kTaskRows, rows);
    for (int64_t r = task * kTaskRows; r < last; ++r) {
      const RandomBits bits((seed << 32) + static_cast<uint64_t>(r));
      FillTensorRow(tensor, config, bits, data + r * row_bytes);
    }
  });
}

}  // namespace

SyntheticModel::SyntheticModel(const ModelConfig& config, QuantizeType type, FfnLayout layout,
                               ThreadPool& pool, const std::function<void()>& tell)
    : config_(config),
      type_(type),
      tensors_(ListPackedTensors(
          config,
          [type, layout](const TensorSpec& spec) {
            return FittingType(WantedType(type, spec.role, layout), spec.shape[1]);
          },
          layout)) {
  int64_t total = 0;
  for (const PackedTensor& tensor : tensors_) total += StoredBytes(tensor);
  RequireMemory(total, AvailableMemory(), "--shape", "the weights");
  for (const PackedTensor& tensor : tensors_) {
    tell();
    storage_.emplace_back(StoredBytes(tensor));
    FillTensor(tensor, config_, storage_.size(), storage_.back().data(), pool);
  }
}

int64_t SyntheticModel::bytes() const {
  int64_t total = 0;
  for (const Buffer<std::byte>& buffer : storage_) total += buffer.size();
  return total;
}

PackedHeader SyntheticModel::Header(const std::vector<float>& thresholds) const {
  ModelConfig config = config_;
  config.thresholds = thresholds;
  return {.config = config,
          .name = "random weights",
          .type = std::string(QuantizeTypeName(type_)),
          .tokenizer = "",
          .tokenizer_config = "",
          .chat_template = ""};
}

Model SyntheticModel::MakeModel(const std::vector<float>& thresholds) const {
  GgufContent content = {
      .metadata = PackedMetadata(Header(thresholds), tensors_), .tensors = {}, .index = {}};
  for (size_t i = 0; i < tensors_.size(); ++i) {
    content.index[tensors_[i].name] = i;
    content.tensors.push_back(
        {.name = tensors_[i].name,
         .type = tensors_[i].stored,
         .shape = tensors_[i].shape,
         .bytes = {storage_[i].data(), static_cast<size_t>(storage_[i].size())}});
  }
  PackedModel model = ParsePackedModel(content, "--shape");
  return {model.header.config, std::move(model.weights)};
}

void SyntheticModel::Write(const std::filesystem::path& path, const std::vector<float>& thresholds,
                           const std::function<void(double fraction)>& tell) const {
  std::vector<GgufWriter::Declared> declared;
  declared.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    declared.push_back(
        {.name = tensors_[i].name, .type = tensors_[i].stored, .shape = tensors_[i].shape});
  }
  GgufWriter writer(path, PackedMetadata(Header(thresholds), tensors_), declared);
  size_t written = 0;
  for (const Buffer<std::byte>& buffer : storage_) {
    std::span<const std::byte> left(buffer.data(), static_cast<size_t>(buffer.size()));
    while (!left.empty()) {
      tell(static_cast<double>(written) / static_cast<double>(bytes()));
      const auto piece = left.first(std::min(kWriteBytes, left.size()));
      writer.Write(piece);
      written += piece.size();
      left = left.subspan(piece.size());
    }
  }
  writer.Finish();
}

}  // namespace stocha
