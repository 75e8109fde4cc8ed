#include "stocha/train/gated_activation_op.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "stocha/kernels/isa.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Work is cut into chunks of about this many elements whatever the number of threads, so that the
// statistics too are summed in one order.
constexpr int64_t kChunkElements = 32768;

// How bfloat16 is passed to the kernels.
template <typename T>
using KernelType = std::conditional_t<std::is_same_v<T, at::BFloat16>, uint16_t, T>;

template <typename T>
const KernelType<T>* Data(const at::Tensor& tensor) {
  return reinterpret_cast<const KernelType<T>*>(tensor.const_data_ptr<T>());
}
template <typename T>
KernelType<T>* MutableData(at::Tensor& tensor) {
  return reinterpret_cast<KernelType<T>*>(tensor.mutable_data_ptr<T>());
}

// Calls run(T()) with the element type of `tensor`.
template <typename Run>
void DispatchType(const at::Tensor& tensor, const Run& run) {
  switch (tensor.scalar_type()) {
    case at::kBFloat16:
      return run(at::BFloat16());
    case at::kFloat:
      return run(float());
    case at::kDouble:
      return run(double());
    default:
      TORCH_CHECK(false, "GatedActivation: got ", tensor.scalar_type(),
                  ", expected float32, bfloat16 or float64");
  }
}

bool RowsAreContiguous(const at::Tensor& tensor) {
  return tensor.size(1) <= 1 || tensor.stride(1) == 1;
}

void CheckOperands(const at::Tensor& gate, const at::Tensor& up) {
  TORCH_CHECK(gate.dim() == 2 && up.sizes() == gate.sizes(), "GatedActivation: gate is ",
              gate.sizes(), " and up ", up.sizes(), ", expected one shape [tokens, neurons]");
  TORCH_CHECK(gate.scalar_type() == up.scalar_type(), "GatedActivation: gate is ",
              gate.scalar_type(), " and up ", up.scalar_type(), ", expected one type");
  TORCH_CHECK(gate.is_cpu() && up.is_cpu(), "GatedActivation: expected tensors on the CPU");
  TORCH_CHECK(RowsAreContiguous(gate) && RowsAreContiguous(up),
              "GatedActivation: expected a contiguous last dimension");
}

// What forward and backward have in common.
template <typename T>
GatedActivationArgs<KernelType<T>> MakeArgs(const at::Tensor& gate, const at::Tensor& up,
                                            const GatedActivationCall& call) {
  return {.activation = call.activation,
          .stream = call.stream,
          .first_row = call.first_row,
          .rows = gate.size(0),
          .neurons = gate.size(1),
          .gate = Data<T>(gate),
          .up = Data<T>(up),
          .gate_stride = gate.stride(0),
          .up_stride = up.stride(0),
          .l1_scale = static_cast<float>(call.l1_scale)};
}

// Calls run(args, chunk) for the args of every chunk of rows, on torch's threads: they are
// OpenMP's, as many as at::set_num_threads said. (at::parallel_for does the same when compiled with
// OpenMP.)
template <typename Args, typename Run>
void ForEachChunk(const Args& args, int64_t chunk_rows, const Run& run) {
  const int64_t chunks = (args.rows + chunk_rows - 1) / chunk_rows;
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t row = chunk * chunk_rows;
    Args part = args;
    part.rows = std::min(chunk_rows, args.rows - row);
    part.first_row += static_cast<uint32_t>(row);
    part.gate += row * args.gate_stride;
    part.up += row * args.up_stride;
    if (args.hidden != nullptr) part.hidden += row * args.hidden_stride;
    if (args.grad_hidden != nullptr) {
      part.grad_hidden += row * args.hidden_stride;
      part.grad_gate += row * args.grad_stride;
      part.grad_up += row * args.grad_stride;
    }
    run(part, chunk);
  }
}

int64_t ChunkRows(int64_t neurons) {
  return std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, neurons));
}

at::Tensor Forward(const at::Tensor& gate, const at::Tensor& up, const GatedActivationCall& call) {
  at::Tensor hidden = at::empty(gate.sizes(), gate.options());
  const int64_t chunk_rows = ChunkRows(gate.size(1));
  std::vector<GatedActivationStats> stats(gate.size(0) / chunk_rows + 1);
  DispatchType(gate, [&]<typename T>(T) {
    GatedActivationArgs<KernelType<T>> args = MakeArgs<T>(gate, up, call);
    args.hidden = MutableData<T>(hidden);
    args.hidden_stride = hidden.stride(0);
    const Isa isa = SelectedIsa();
    ForEachChunk(args, chunk_rows, [&](const auto& part, int64_t chunk) {
      GatedActivationForward(isa, part, &stats[chunk]);
    });
  });
  if (call.stats != nullptr) {
    for (const GatedActivationStats& part : stats) {
      call.stats->active += part.active;
      call.stats->hidden_l1 += part.hidden_l1;
    }
  }
  return hidden;
}

struct Gradients {
  at::Tensor gate;
  at::Tensor up;
};

Gradients Backward(const at::Tensor& gate, const at::Tensor& up, at::Tensor grad_hidden,
                   const GatedActivationCall& call) {
  if (!RowsAreContiguous(grad_hidden)) grad_hidden = grad_hidden.contiguous();
  Gradients grads = {at::empty(gate.sizes(), gate.options()),
                     at::empty(gate.sizes(), gate.options())};
  DispatchType(gate, [&]<typename T>(T) {
    GatedActivationArgs<KernelType<T>> args = MakeArgs<T>(gate, up, call);
    args.grad_hidden = Data<T>(grad_hidden);
    args.hidden_stride = grad_hidden.stride(0);
    args.grad_gate = MutableData<T>(grads.gate);
    args.grad_up = MutableData<T>(grads.up);
    args.grad_stride = grads.gate.stride(0);
    const Isa isa = SelectedIsa();
    ForEachChunk(args, ChunkRows(gate.size(1)),
                 [&](const auto& part, int64_t /*chunk*/) { GatedActivationBackward(isa, part); });
  });
  return grads;
}

struct SavedCall : torch::CustomClassHolder {
  explicit SavedCall(const GatedActivationCall& value) : call(value) {}
  GatedActivationCall call;
};

class Op : public torch::autograd::Function<Op> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up,
                            const GatedActivationCall& call) {
    context->save_for_backward({gate, up});
    context->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<SavedCall>(call));
    return Forward(gate, up, call);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    TORCH_CHECK(!c10::GradMode::is_enabled(),
                "GatedActivation: has no second derivative; do not ask for create_graph");
    const variable_list saved = context->get_saved_variables();
    const auto call =
        c10::static_intrusive_pointer_cast<SavedCall>(context->saved_data["call"].toCapsule());
    Gradients grads = Backward(saved[0], saved[1], grad_outputs[0], call->call);
    return {std::move(grads.gate), std::move(grads.up), at::Tensor()};
  }
};

}  // namespace

at::Tensor GatedActivation(const at::Tensor& gate, const at::Tensor& up,
                           const GatedActivationCall& call) {
  CheckOperands(gate, up);
  return Op::apply(gate, up, call);
}

}  // namespace stocha
