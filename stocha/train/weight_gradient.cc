#include "stocha/train/weight_gradient.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "stocha/train/op_support.h"
#include "stocha/train/weight_gradient_kernel.h"

namespace stocha {
namespace {

constexpr int64_t kScratchBytes = int64_t{1} << 20;  // of a thread: half of a second-level cache
constexpr int64_t kMaxRowParts = 8;

// Parts of rows that are computed at once: as many as the scratch holds, every thread as busy.
int64_t RowPartsAtOnce(const WeightGradientKernel& kernel, const WeightGradientCall& call) {
  const int64_t fitting =
      std::clamp<int64_t>(kScratchBytes / kernel.scratch_bytes(call, 1), 1, kMaxRowParts);
  const int64_t threads = at::get_num_threads();
  const int64_t rounds = (call.RowParts() + fitting * threads - 1) / (fitting * threads);
  return (call.RowParts() + rounds * threads - 1) / (rounds * threads);
}

void Run(const WeightGradientKernel& kernel, const WeightGradientCall& call) {
  const auto bytes = [](int64_t count) {
    return at::empty({count}, at::TensorOptions().dtype(at::kByte));
  };
  at::Tensor packed = bytes(kernel.packed_bytes(call));
  void* right = packed.mutable_data_ptr();
  ForEachChunk(call.TokenParts(), 1,
               [&](int64_t part, int64_t, int64_t) { kernel.pack_right(call, part, right); });
  const int64_t at_once = RowPartsAtOnce(kernel, call);
  const int64_t scratch_bytes = kernel.scratch_bytes(call, at_once);
  at::Tensor scratch = bytes(at::get_num_threads() * scratch_bytes);
  auto* scratch_data = scratch.mutable_data_ptr<uint8_t>();
  ForEachChunk(call.RowParts(), at_once, [&](int64_t begin, int64_t end, int64_t) {
    kernel.multiply(call, begin, end - begin, right, scratch_data + ThreadNumber() * scratch_bytes);
  });
}

bool HasRows(const at::Tensor& matrix) { return matrix.stride(1) == 1 && matrix.numel() > 0; }

}  // namespace

at::Tensor WeightGradient(const at::Tensor& grad, const at::Tensor& input) {
  const WeightGradientKernel* kernel = SelectedWeightGradientKernel();
  if (kernel == nullptr || grad.scalar_type() != at::kBFloat16 || !HasRows(grad) ||
      !HasRows(input)) {
    return at::mm(grad.t(), input);
  }
  RECORD_FUNCTION("stocha::weight_gradient", c10::ArrayRef<const c10::IValue>{});
  at::Tensor result = at::empty({grad.size(1), input.size(1)}, grad.options());
  WeightGradientCall call = {.tokens = grad.size(0),
                             .rows = grad.size(1),
                             .columns = input.size(1),
                             .left = Data<at::BFloat16>(grad),
                             .right = Data<at::BFloat16>(input),
                             .left_stride = grad.stride(0),
                             .right_stride = input.stride(0),
                             .result = MutableData<at::BFloat16>(result)};
  if (call.columns > call.rows) {  // what is packed once for all threads should be small
    std::swap(call.rows, call.columns);
    std::swap(call.left, call.right);
    std::swap(call.left_stride, call.right_stride);
    call.transposed = true;
  }
  Run(*kernel, call);
  return result;
}

}  // namespace stocha
