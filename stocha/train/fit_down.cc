#include "stocha/train/fit_down.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "stocha/recipe/schedule.h"
#include "stocha/train/gradients.h"

namespace stocha {
namespace {

constexpr double kRidge = 0.01;

// What a layer's tokens add up to, each scaled by 1 / |stream + y'|; f32.
struct Moments {
  at::Tensor hidden_hidden;  // h h^T, [intermediate_size, intermediate_size]
  at::Tensor hidden_target;  // h y'^T, [intermediate_size, hidden_size]
  double target_target = 0;  // |y'|^2
};

// The sum of |W h - y'|^2, `w` being W^T.
double SquaredError(const Moments& moments, const at::Tensor& w) {
  const double quadratic = (at::mm(moments.hidden_hidden, w) * w).sum().item<float>();
  return moments.target_target - 2 * (moments.hidden_target * w).sum().item<float>() + quadratic;
}

at::Tensor Solve(const Moments& moments, const at::Tensor& w0) {
  at::Tensor left = moments.hidden_hidden.to(at::kDouble);
  const at::Tensor ridge = left.diagonal().mean() * kRidge;
  left.diagonal().add_(ridge);
  const at::Tensor right = moments.hidden_target.to(at::kDouble) + ridge * w0.to(at::kDouble);
  return at::cholesky_solve(right, at::linalg_cholesky(left)).to(at::kFloat);
}

void AddMoments(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& stream,
                Moments* moments) {
  const at::Tensor scale = (stream + y).square().sum(1, /*keepdim=*/true).rsqrt();
  const at::Tensor h = hidden * scale;
  const at::Tensor target = y * scale;
  moments->hidden_hidden.addmm_(h.t(), h);
  moments->hidden_target.addmm_(h.t(), target);
  moments->target_target += target.square().sum().item<float>();
}

}  // namespace

DownFit FitDown(const Transformer& student, const Teacher& teacher, const BatchOrder& order,
                const Recipe& recipe, int64_t step) {
  const c10::NoGradGuard no_grad;
  const ModelConfig& config = student.config();
  std::vector<Moments> layers(config.num_hidden_layers);
  for (Moments& layer : layers) {
    layer.hidden_hidden = at::zeros({config.intermediate_size, config.intermediate_size});
    layer.hidden_target = at::zeros({config.intermediate_size, config.hidden_size});
  }
  ForwardOptions options;
  options.activation = FinalActivation(recipe);
  options.compute_type = recipe.compute_type;
  options.weights = student.CastWeights(recipe.compute_type);
  const int64_t micro = MicroBatchSize(recipe);
  const int64_t windows = (recipe.fit_tokens - 1) / recipe.sequence_length + 1;
  for (int64_t first = 0; first < windows; first += micro) {
    const int64_t count = std::min(micro, windows - first);
    const Batch batch = ReadBatch(count, recipe.sequence_length, [&](int64_t i, auto window) {
      order.ReadShuffled(static_cast<uint64_t>(step * recipe.batch_size + first + i), window);
    });
    teacher.Hidden(batch.ids, [&](int layer, const at::Tensor& x, const at::Tensor& y,
                                  const at::Tensor& stream) {
      AddMoments(student.GatedHidden(x, layer, options).to(at::kFloat), y.to(at::kFloat), stream,
                 &layers[layer]);
    });
  }
  DownFit fit;
  const double parts =
      static_cast<double>(windows * recipe.sequence_length * config.num_hidden_layers);
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    const at::Tensor down = student.Weight(TensorRole::kDown, layer);
    const at::Tensor w0 = down.t().contiguous();
    const at::Tensor w = Solve(layers[layer], w0);
    fit.error_before += SquaredError(layers[layer], w0) / parts;
    fit.error_after += SquaredError(layers[layer], w) / parts;
    down.detach().copy_(w.t());
  }
  return fit;
}

}  // namespace stocha
