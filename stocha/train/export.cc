#include "stocha/train/export.h"

#include <vector>

#include "stocha/model/checkpoint.h"

namespace stocha {

NamedTensor BorrowTensor(const std::string& name, const at::Tensor& tensor) {
  return {.name = name,
          .tensor = {
              .dtype = tensor.scalar_type() == at::kBFloat16 ? DType::kBF16 : DType::kF32,
              .shape = tensor.sizes().vec(),
              .bytes = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}}};
}

void ExportModel(const Transformer& model, const Activation& activation, DType dtype,
                 const std::filesystem::path& directory, const std::filesystem::path& tokenizer) {
  ModelConfig config = model.config();
  config.activation = activation;
  config.dtype = dtype;
  std::vector<at::Tensor> stored;  // keeps converted weights alive
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < model.weights().size(); ++i) {
    const at::Tensor weight = model.weights()[i].detach();
    stored.push_back(dtype == DType::kBF16 ? weight.to(at::kBFloat16) : weight);
    tensors.push_back(BorrowTensor(model.specs()[i].name, stored.back()));
  }
  WriteCheckpoint(directory, config, tensors, tokenizer);
}

std::string ExportWarning(const Activation& activation) {
  if (activation.kind != ActivationKind::kRelu && activation.kind != ActivationKind::kReluSquared) {
    return "";
  }
  return "transformers and stocha run this model with " + ToString(activation) +
         "; llama.cpp and CTranslate2 ignore hidden_act and would compute SiLU: wrong text, no "
         "error";
}

}  // namespace stocha
