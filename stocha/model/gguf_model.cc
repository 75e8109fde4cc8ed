#include "stocha/model/gguf_model.h"

#include <set>
#include <string>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/model/ggml_blocks.h"
#include "stocha/model/gguf_config.h"

namespace stocha {
namespace {

constexpr std::string_view kRopeFactors = "rope_freqs.weight";  // read into the config

std::string_view NameWithinLayer(TensorRole role) {
  switch (role) {
    case TensorRole::kEmbedding:
      return "token_embd.weight";
    case TensorRole::kInputNorm:
      return "attn_norm.weight";
    case TensorRole::kQuery:
      return "attn_q.weight";
    case TensorRole::kKey:
      return "attn_k.weight";
    case TensorRole::kValue:
      return "attn_v.weight";
    case TensorRole::kQueryBias:
      return "attn_q.bias";
    case TensorRole::kKeyBias:
      return "attn_k.bias";
    case TensorRole::kValueBias:
      return "attn_v.bias";
    case TensorRole::kQueryNorm:
      return "attn_q_norm.weight";
    case TensorRole::kKeyNorm:
      return "attn_k_norm.weight";
    case TensorRole::kAttentionOutput:
      return "attn_output.weight";
    case TensorRole::kPostAttentionNorm:
      return "ffn_norm.weight";
    case TensorRole::kGate:
      return "ffn_gate.weight";
    case TensorRole::kUp:
      return "ffn_up.weight";
    case TensorRole::kDown:
      return "ffn_down.weight";
    case TensorRole::kFinalNorm:
      return "output_norm.weight";
    case TensorRole::kHead:
      return "output.weight";
  }
  return "";
}

// llama.cpp's RoPE for llama turns neighbours, 2 i and 2 i + 1; Hugging Face's turns i and
// i + head_dim / 2. The rows of q and k are stored in the order that makes up for it.
bool HasInterleavedRows(const TensorSpec& spec, const ModelConfig& config) {
  return config.architecture == Architecture::kLlama &&
         (spec.role == TensorRole::kQuery || spec.role == TensorRole::kKey);
}

// Where row `row` of Hugging Face's order is stored; rows are heads of head_dim.
int64_t InterleavedRow(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim * head_dim;
  const int64_t half = row % head_dim / (head_dim / 2);
  const int64_t pair = row % (head_dim / 2);
  return head + 2 * pair + half;
}

std::string Describe(const GgufTensor* tensor) {
  if (tensor == nullptr) return "nothing";
  return std::string(GgmlTypeName(tensor->type)) + " " + Json(tensor->shape).dump();
}

}  // namespace

std::string GgufTensorName(const TensorSpec& spec) {
  const std::string name(NameWithinLayer(spec.role));
  return spec.layer < 0 ? name : "blk." + std::to_string(spec.layer) + "." + name;
}

void CheckGgufTensors(const GgufContent& content, const ModelConfig& config,
                      std::string_view where) {
  const auto fail = [where](const std::string& name, const GgufTensor* tensor,
                            const std::string& expected) {
    throw Error({.where = std::string(where),
                 .what = "tensor \"" + name + "\"",
                 .got = Describe(tensor),
                 .expected = expected});
  };
  std::set<std::string, std::less<>> known = {std::string(kRopeFactors)};
  for (const TensorSpec& spec : ListTensors(config)) {
    std::string name = GgufTensorName(spec);
    const GgufTensor* tensor = content.Find(name);
    const bool fits =
        tensor != nullptr && tensor->shape == spec.shape && tensor->type != GgmlType::kI8;
    if (!fits) fail(name, tensor, "weights " + Json(spec.shape).dump() + ", as the metadata says");
    known.insert(std::move(name));
  }
  for (const GgufTensor& tensor : content.tensors) {
    if (!known.contains(tensor.name)) {
      fail(tensor.name, &tensor, "no such tensor in this architecture");
    }
  }
}

GgufModel::GgufModel(GgufFile file)
    : file_(std::move(file)), config_(GgufModelConfig(file_.content, file_.path.string())) {
  CheckGgufTensors(file_.content, config_, file_.path.string());
}

const GgufTensor& GgufModel::Stored(const TensorSpec& spec) const {
  return *file_.content.Find(GgufTensorName(spec));
}

std::vector<float> GgufModel::Read(const TensorSpec& spec) const {
  return ReadRows(spec, 0, spec.shape[0]);
}

std::vector<float> GgufModel::ReadRows(const TensorSpec& spec, int64_t first, int64_t count) const {
  const GgufTensor& tensor = Stored(spec);
  const auto columns = static_cast<size_t>(spec.num_elements() / spec.shape[0]);
  std::vector<float> values(static_cast<size_t>(count) * columns);  // [count, columns]
  const bool in_order = !HasInterleavedRows(spec, config_);
  if (in_order && count == spec.shape[0]) {  // vectors too, which have no rows
    DequantizeBlocks(tensor.type, tensor.bytes, values);
    return values;
  }
  const size_t row_bytes = tensor.bytes.size() / static_cast<size_t>(spec.shape[0]);
  const auto bytes = [&](int64_t row, int64_t rows) {
    return tensor.bytes.subspan(static_cast<size_t>(row) * row_bytes,
                                static_cast<size_t>(rows) * row_bytes);
  };
  if (in_order) {
    DequantizeBlocks(tensor.type, bytes(first, count), values);
    return values;
  }
  for (int64_t r = 0; r < count; ++r) {
    DequantizeBlocks(tensor.type, bytes(InterleavedRow(first + r, config_.head_dim), 1),
                     std::span(values).subspan(static_cast<size_t>(r) * columns, columns));
  }
  return values;
}

}  // namespace stocha
