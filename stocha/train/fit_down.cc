#include "stocha/train/fit_down.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "stocha/recipe/schedule.h"
#include "stocha/train/gradients.h"
#include "stocha/train/matrix_product.h"

namespace stocha {
namespace {

// Of the mean of the diagonal. One of them is best where tokens are few, another where they are
// many.
constexpr std::array kRidges = {0.01, 0.03, 0.1, 0.3, 1.0};
constexpr size_t kHeldOut = 8;  // one walk in so many chooses

// What a layer's tokens add up to, each scaled by 1 / |t|; f32.
struct Moments {
  at::Tensor hidden_hidden;  // h h^T, [intermediate_size, intermediate_size]
  at::Tensor hidden_target;  // h y^T, y = t - s, [intermediate_size, hidden_size]
  double target_target = 0;  // |y|^2

  explicit Moments(const ModelConfig& config)
      : hidden_hidden(at::zeros({config.intermediate_size, config.intermediate_size})),
        hidden_target(at::zeros({config.intermediate_size, config.hidden_size})) {}

  void Add(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& t) {
    const at::Tensor scale = t.square().sum(1, /*keepdim=*/true).rsqrt();
    const at::Tensor h = hidden * scale;
    const at::Tensor target = y * scale;
    hidden_hidden.addmm_(h.t(), h);
    hidden_target.addmm_(h.t(), target);
    target_target += target.square().sum().item<float>();
  }
  void Add(const Moments& other) {
    hidden_hidden.add_(other.hidden_hidden);
    hidden_target.add_(other.hidden_target);
    target_target += other.target_target;
  }
};

// The sum of |W h - y|^2, `w` being W^T.
double SquaredError(const Moments& moments, const at::Tensor& w) {
  const double quadratic = (at::mm(moments.hidden_hidden, w) * w).sum().item<float>();
  return moments.target_target - 2 * (moments.hidden_target * w).sum().item<float>() + quadratic;
}

at::Tensor Solve(const Moments& moments, const at::Tensor& w0, double ridge_share) {
  at::Tensor left = moments.hidden_hidden.to(at::kDouble);
  const at::Tensor ridge = left.diagonal().mean() * ridge_share;
  left.diagonal().add_(ridge);
  const at::Tensor right = moments.hidden_target.to(at::kDouble) + ridge * w0.to(at::kDouble);
  return at::cholesky_solve(right, at::linalg_cholesky(left)).to(at::kFloat);
}

// The ridge with which the solution on `moments` errs least on `held_out`.
double BestRidge(const Moments& moments, const Moments& held_out, const at::Tensor& w0) {
  double best = kRidges.front();
  double least = std::numeric_limits<double>::infinity();
  for (const double ridge : kRidges) {
    const double error = SquaredError(held_out, Solve(moments, w0, ridge));
    if (error < least) best = ridge;
    least = std::min(least, error);
  }
  return best;
}

// Some sequences on their way through both models.
struct Walk {
  int64_t sequence;    // tokens of each
  at::Tensor teacher;  // its stream, f32
  at::Tensor student;
  at::Tensor x;  // the input of the student's FFN
};

std::vector<Walk> Start(const Transformer& student, const Teacher& teacher, const BatchOrder& order,
                        const Recipe& recipe) {
  std::vector<Walk> walks;
  const int64_t micro = MicroBatchSize(recipe);
  const int64_t windows = std::min((recipe.fit_tokens - 1) / recipe.sequence_length + 1,
                                   static_cast<int64_t>(order.num_windows()));
  for (int64_t first = 0; first < windows; first += micro) {
    const int64_t count = std::min(micro, windows - first);
    const Batch batch = ReadBatch(count, recipe.sequence_length, [&](int64_t i, auto window) {
      order.ReadShuffled(static_cast<uint64_t>(recipe.steps * recipe.batch_size + first + i),
                         window);
    });
    walks.push_back({.sequence = recipe.sequence_length,
                     .teacher = teacher.model().Embed(batch.ids),
                     .student = student.Embed(batch.ids),
                     .x = {}});
  }
  return walks;
}

// Takes the teacher behind the layer and the student before its FFN.
void Advance(const Transformer& student, const ForwardOptions& options, const Teacher& teacher,
             int layer, Walk* walk) {
  const NormedSum theirs =
      teacher.model().BeforeFeedForward(walk->teacher, walk->sequence, layer, teacher.options());
  walk->teacher = theirs.sum + teacher.model().FeedForward(theirs.normed, layer, teacher.options());
  const NormedSum ours = student.BeforeFeedForward(walk->student, walk->sequence, layer, options);
  walk->student = ours.sum;
  walk->x = ours.normed;
}

}  // namespace

std::optional<DownFit> FitDown(const Transformer& student, const Teacher& teacher,
                               const BatchOrder& order, const Recipe& recipe,
                               const FitObserver& observer) {
  const c10::NoGradGuard no_grad;
  const ModelConfig& config = student.config();
  ForwardOptions options;
  options.activation = FinalActivation(recipe);
  options.compute_type = recipe.compute_type;
  options.weights = student.CastWeights(recipe.compute_type);
  std::vector<Walk> walks = Start(student, teacher, order, recipe);
  DownFit fit;
  for (const Walk& walk : walks) fit.tokens += walk.student.size(0);
  const double parts = static_cast<double>(fit.tokens * config.num_hidden_layers);
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    Moments moments(config);
    Moments held_out(config);
    for (size_t i = 0; i < walks.size(); ++i) {
      Walk& walk = walks[i];
      Advance(student, options, teacher, layer, &walk);
      (i % kHeldOut == 1 ? held_out : moments)
          .Add(student.GatedHidden(walk.x, layer, options).to(at::kFloat),
               walk.teacher - walk.student, walk.teacher);
    }
    const at::Tensor down = student.Weight(TensorRole::kDown, layer).detach();
    const at::Tensor w0 = down.t().contiguous();
    const double ridge = BestRidge(moments, held_out, w0);
    moments.Add(held_out);
    const at::Tensor w = Solve(moments, w0, ridge);
    fit.error_before += SquaredError(moments, w0) / parts;
    fit.error_after += SquaredError(moments, w) / parts;
    down.copy_(w.t());
    const at::Tensor cast = down.to(walks[0].x.scalar_type());
    for (Walk& walk : walks) {  // computes h again, which is larger than x to keep
      walk.student.add_(LinearProduct(student.GatedHidden(walk.x, layer, options), cast, {}));
    }
    if (observer && !observer(layer + 1, config.num_hidden_layers)) return std::nullopt;
  }
  return fit;
}

}  // namespace stocha
