#include "stocha/train/gated_activation_op.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/empty.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "stocha/kernels/isa.h"
#include "stocha/train/op_support.h"

namespace stocha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Work is cut into chunks of about this many elements whatever the number of threads, so that the
// statistics too are summed in one order.
constexpr int64_t kChunkElements = 32768;

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

// Of gate, and of up.
int64_t Neurons(const at::Tensor& gate_up) { return gate_up.size(1) / 2; }

at::Tensor ContiguousRows(const at::Tensor& tensor) {
  return tensor.size(1) <= 1 || tensor.stride(1) == 1 ? tensor : tensor.contiguous();
}

// What forward and backward have in common.
template <typename T>
GatedActivationArgs<KernelType<T>> MakeArgs(const at::Tensor& gate_up,
                                            const GatedActivationCall& call) {
  return {.activation = call.activation,
          .stream = call.stream,
          .first_row = call.first_row,
          .rows = gate_up.size(0),
          .neurons = Neurons(gate_up),
          .gate = Data<T>(gate_up),
          .up = Data<T>(gate_up) + Neurons(gate_up),
          .gate_stride = gate_up.stride(0),
          .up_stride = gate_up.stride(0),
          .l1_scale = static_cast<float>(call.l1_scale)};
}

// The rows [begin, end) of a call.
template <typename T>
GatedActivationArgs<T> Part(const GatedActivationArgs<T>& args, int64_t begin, int64_t end) {
  GatedActivationArgs<T> part = args;
  part.rows = end - begin;
  part.first_row += static_cast<uint32_t>(begin);
  part.gate += begin * args.gate_stride;
  part.up += begin * args.up_stride;
  if (args.hidden != nullptr) part.hidden += begin * args.hidden_stride;
  if (args.grad_hidden != nullptr) {
    part.grad_hidden += begin * args.hidden_stride;
    part.grad_gate += begin * args.grad_stride;
    part.grad_up += begin * args.grad_stride;
  }
  return part;
}

int64_t ChunkRows(int64_t neurons) {
  return std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, neurons));
}

at::Tensor Forward(const at::Tensor& gate_up, const GatedActivationCall& call) {
  const int64_t neurons = Neurons(gate_up);
  at::Tensor hidden = at::empty({gate_up.size(0), neurons}, gate_up.options());
  const int64_t chunk_rows = ChunkRows(neurons);
  std::vector<GatedActivationStats> stats(gate_up.size(0) / chunk_rows + 1);
  DispatchType(gate_up, [&]<typename T>(T) {
    GatedActivationArgs<KernelType<T>> args = MakeArgs<T>(gate_up, call);
    args.hidden = MutableData<T>(hidden);
    args.hidden_stride = hidden.stride(0);
    const Isa isa = SelectedIsa();
    ForEachChunk(args.rows, chunk_rows, [&](int64_t begin, int64_t end, int64_t chunk) {
      GatedActivationForward(isa, Part(args, begin, end), &stats[chunk]);
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

at::Tensor Backward(const at::Tensor& gate_up, const at::Tensor& grad_hidden,
                    const GatedActivationCall& call) {
  at::Tensor grad = at::empty(gate_up.sizes(), gate_up.options());
  DispatchType(gate_up, [&]<typename T>(T) {
    GatedActivationArgs<KernelType<T>> args = MakeArgs<T>(gate_up, call);
    args.grad_hidden = Data<T>(grad_hidden);
    args.hidden_stride = grad_hidden.stride(0);
    args.grad_gate = MutableData<T>(grad);
    args.grad_up = args.grad_gate + args.neurons;
    args.grad_stride = grad.stride(0);
    const Isa isa = SelectedIsa();
    ForEachChunk(args.rows, ChunkRows(args.neurons), [&](int64_t begin, int64_t end, int64_t) {
      GatedActivationBackward(isa, Part(args, begin, end));
    });
  });
  return grad;
}

struct SavedCall : torch::CustomClassHolder {
  explicit SavedCall(const GatedActivationCall& value) : call(value) {}
  GatedActivationCall call;
};

class Op : public torch::autograd::Function<Op> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up,
                            const GatedActivationCall& call) {
    context->save_for_backward({gate_up});
    context->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<SavedCall>(call));
    return Forward(gate_up, call);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    TORCH_CHECK(!c10::GradMode::is_enabled(),
                "GatedActivation: has no second derivative; do not ask for create_graph");
    const variable_list saved = context->get_saved_variables();
    const auto call =
        c10::static_intrusive_pointer_cast<SavedCall>(context->saved_data["call"].toCapsule());
    return {Backward(saved[0], ContiguousRows(grad_outputs[0]), call->call), at::Tensor()};
  }
};

}  // namespace

at::Tensor GatedActivation(const at::Tensor& gate_up, const GatedActivationCall& call) {
  RECORD_USER_SCOPE("activation");
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "GatedActivation: got ",
              gate_up.sizes(), ", expected [tokens, 2 * neurons]");
  TORCH_CHECK(gate_up.is_cpu(), "GatedActivation: expected a tensor on the CPU");
  return Op::apply(ContiguousRows(gate_up), call);
}

}  // namespace stocha
