#include "stocha/train/matrix_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/record_function.h>
#include <unistd.h>

#include <algorithm>

#include "stocha/kernels/isa.h"
#include "stocha/train/op_support.h"
#include "stocha/train/product_kernel.h"
#include "stocha/train/row_kernels.h"

namespace stocha {
namespace {

constexpr int64_t kMaxRowParts = 8;

// Of a thread: half of a second-level cache.
int64_t ScratchLimit() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const int64_t size = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (size > 0) return size / 2;
#endif
  return int64_t{1} << 20;
}

// Parts of rows that are computed at once: as many as the scratch holds, every thread as busy.
int64_t RowPartsAtOnce(const ProductKernel& kernel, const ProductCall& call) {
  const int64_t fitting =
      std::clamp<int64_t>(ScratchLimit() / kernel.scratch_bytes(call, 1), 1, kMaxRowParts);
  const int64_t threads = at::get_num_threads();
  const int64_t rounds = (call.RowParts() + fitting * threads - 1) / (fitting * threads);
  return (call.RowParts() + rounds * threads - 1) / (rounds * threads);
}

void Run(const ProductKernel& kernel, const ProductCall& call) {
  const auto bytes = [](int64_t count) {
    return at::empty({count}, at::TensorOptions().dtype(at::kByte));
  };
  at::Tensor packed = bytes(kernel.packed_bytes(call));
  void* right = packed.mutable_data_ptr();
  ForEachChunk(call.DepthParts(), 1,
               [&](int64_t part, int64_t, int64_t) { kernel.pack_right(call, part, right); });
  const int64_t at_once = RowPartsAtOnce(kernel, call);
  const int64_t scratch_bytes = kernel.scratch_bytes(call, at_once);
  at::Tensor scratch = bytes(at::get_num_threads() * scratch_bytes);
  auto* scratch_data = scratch.mutable_data_ptr<uint8_t>();
  ForEachChunk(call.RowParts(), at_once, [&](int64_t begin, int64_t end, int64_t) {
    kernel.multiply(call, begin, end - begin, right, scratch_data + ThreadNumber() * scratch_bytes);
  });
}

bool LiesInRows(const at::Tensor& matrix) { return matrix.stride(1) == 1; }
bool IsTurned(const at::Tensor& matrix) { return !LiesInRows(matrix) && matrix.stride(0) == 1; }

ProductMatrix View(const at::Tensor& matrix) {
  const bool turned = IsTurned(matrix);
  return {.values = Data<at::BFloat16>(matrix),
          .stride = matrix.stride(turned ? 1 : 0),
          .turned = turned};
}

// The result is yet to be set.
ProductCall CallFor(const at::Tensor& a, const at::Tensor& b) {
  ProductCall call = {.rows = a.size(0),
                      .columns = b.size(1),
                      .depth = a.size(1),
                      .left = View(a),
                      .right = View(b)};
  if (call.columns > call.rows) {  // what is packed once for all threads should be small
    std::swap(call.rows, call.columns);
    std::swap(call.left, call.right);
    call.left.turned = !call.left.turned;
    call.right.turned = !call.right.turned;
    call.result_turned = true;
  }
  return call;
}

bool ProcessorMultipliesBf16() {
#if defined(__x86_64__)
  const Isa isa = SelectedIsa();
  return (isa == Isa::kAvx512 || isa == Isa::kAmx) && HasAvx512Bf16();
#else
  return true;
#endif
}

}  // namespace

bool MultipliesAsFloat(const at::Tensor& x) {
  static const bool multiplies = ProcessorMultipliesBf16();
  return x.scalar_type() == at::kBFloat16 && !multiplies;
}

at::Tensor MatrixProduct(const at::Tensor& a, const at::Tensor& b) {
  const auto lies_well = [](const at::Tensor& x) {
    return x.scalar_type() == at::kBFloat16 && x.numel() > 0 && (LiesInRows(x) || IsTurned(x));
  };
  if (lies_well(a) && lies_well(b)) {
    ProductCall call = CallFor(a, b);
    if (const ProductKernel* kernel = SelectedProductKernel(call)) {
      RECORD_FUNCTION("stocha::product", c10::ArrayRef<const c10::IValue>{});
      at::Tensor result = at::empty({a.size(0), b.size(1)}, a.options());
      call.result = MutableData<at::BFloat16>(result);
      Run(*kernel, call);
      return result;
    }
  }
  if (!MultipliesAsFloat(a)) return at::mm(a, b);
  return at::mm(a.to(at::kFloat), b.to(at::kFloat)).to(at::kBFloat16);
}

at::Tensor LinearProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!bias.defined()) return MatrixProduct(x, weight.t());
  if (!MultipliesAsFloat(x)) return at::linear(x, weight, bias);
  return at::linear(x.to(at::kFloat), weight.to(at::kFloat), bias.to(at::kFloat)).to(at::kBFloat16);
}

}  // namespace stocha
