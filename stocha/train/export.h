// Weights in memory into a model directory as Hugging Face lays it out.
#ifndef STOCHA_TRAIN_EXPORT_H_
#define STOCHA_TRAIN_EXPORT_H_

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>

#include "stocha/base/dtype.h"
#include "stocha/model/activation.h"
#include "stocha/model/safetensors.h"
#include "stocha/train/transformer.h"

namespace stocha {

// Writes (WriteCheckpoint) `model` with `activation` as its default and its weights as `dtype`, F32
// or BF16. tokenizer: a tokenizer.json to copy; may be empty.
void ExportModel(const Transformer& model, const Activation& activation, DType dtype,
                 const std::filesystem::path& directory, const std::filesystem::path& tokenizer);

// What other programs would get wrong about an exported model, in one line; empty: nothing.
std::string ExportWarning(const Activation& activation);

// A contiguous f32 or bf16 tensor as safetensors sees it; borrows its memory.
NamedTensor BorrowTensor(const std::string& name, const at::Tensor& tensor);

}  // namespace stocha

#endif  // STOCHA_TRAIN_EXPORT_H_
