#include "stocha/engine/calibrate.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

#include "stocha/engine/workspace.h"

namespace stocha {
namespace {

constexpr size_t kWriteBytes = size_t{8} << 20;

// One row a neuron.
bool OfNeurons(const PackedTensor& tensor) {
  return tensor.spec.role == TensorRole::kGate || tensor.part == PackedPart::kNeurons;
}

}  // namespace

std::vector<int64_t> Firing::HotFirst(size_t layer) const {
  const std::vector<int64_t>& fired = counts[layer];
  std::vector<int64_t> order(fired.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int64_t a, int64_t b) {
    return fired[a] != fired[b] ? fired[a] > fired[b] : a < b;
  });
  return order;
}

std::vector<float> Firing::Parts() const {
  std::vector<float> parts;  // [layers, kFiredParts]
  for (std::vector<int64_t> fired : counts) {
    std::ranges::sort(fired, std::greater<>());
    const size_t neurons = fired.size();
    for (size_t part = 0; part < kFiredParts; ++part) {
      const size_t begin = part * neurons / kFiredParts;
      const size_t end = (part + 1) * neurons / kFiredParts;
      const auto sum = std::accumulate(fired.begin() + static_cast<int64_t>(begin),
                                       fired.begin() + static_cast<int64_t>(end), int64_t{0});
      const auto most = static_cast<double>(tokens) * static_cast<double>(end - begin);
      parts.push_back(most == 0 ? 0 : static_cast<float>(static_cast<double>(sum) / most));
    }
  }
  return parts;
}

Firing CountFiring(const Model& model, const CalibrationText& text, ThreadPool& pool,
                   const std::function<void(int64_t tokens)>& progress) {
  const ModelConfig& config = model.config();
  Workspace workspace(config, &pool, {});
  workspace.neuron_fired.assign(
      static_cast<size_t>(config.num_hidden_layers),
      std::vector<int64_t>(static_cast<size_t>(config.intermediate_size), 0));
  RunText(model, text, workspace, progress);
  return {.tokens = std::ssize(text.ids), .counts = std::move(workspace.neuron_fired)};
}

void WriteHotFirst(const GgufContent& content, const PackedModel& model, const Firing& firing,
                   const std::filesystem::path& output,
                   const std::function<void(int64_t bytes)>& progress) {
  PackedHeader header = model.header;
  header.fired = firing.Parts();
  std::vector<GgufWriter::Declared> declared;
  declared.reserve(model.tensors.size());
  for (const PackedTensor& tensor : model.tensors) {
    declared.push_back({tensor.name, tensor.stored, tensor.shape});
  }
  GgufWriter writer(output, PackedMetadata(header, model.tensors), declared);
  int64_t done = 0;
  const auto write = [&](std::span<const std::byte> bytes) {
    progress(done);
    writer.Write(bytes);
    done += static_cast<int64_t>(bytes.size());
  };
  std::vector<std::byte> rows;
  for (const PackedTensor& tensor : model.tensors) {
    std::span<const std::byte> bytes = content.Find(tensor.name)->bytes;
    if (!OfNeurons(tensor)) {
      for (; !bytes.empty(); bytes = bytes.subspan(std::min(kWriteBytes, bytes.size()))) {
        write(bytes.first(std::min(kWriteBytes, bytes.size())));
      }
      continue;
    }
    const size_t row_bytes = bytes.size() / static_cast<size_t>(tensor.shape[0]);
    rows.clear();
    for (const int64_t neuron : firing.HotFirst(static_cast<size_t>(tensor.spec.layer))) {
      const auto row = bytes.subspan(static_cast<size_t>(neuron) * row_bytes, row_bytes);
      rows.insert(rows.end(), row.begin(), row.end());
      if (rows.size() < kWriteBytes) continue;
      write(rows);
      rows.clear();
    }
    write(rows);
  }
  writer.Finish();
  progress(done);
}

}  // namespace stocha
