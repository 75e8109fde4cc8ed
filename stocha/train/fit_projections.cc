#include "stocha/train/fit_projections.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "stocha/recipe/schedule.h"
#include "stocha/train/gradients.h"
#include "stocha/train/rms_norm_op.h"

namespace stocha {
namespace {

// Of the mean of the diagonal. One of them is best where tokens are few, another where they are
// many.
constexpr std::array kRidges = {0.01, 0.03, 0.1, 0.3, 1.0};
constexpr size_t kHeldOut = 8;  // one walk in so many chooses

// What tokens add up to at a projection, each scaled by 1 / |t|; f32.
struct Moments {
  at::Tensor hidden_hidden;  // h h^T, [inputs, inputs]
  at::Tensor hidden_target;  // h y^T, y = t - s, [inputs, hidden_size]
  double target_target = 0;  // |y|^2

  Moments(int64_t inputs, int64_t hidden_size)
      : hidden_hidden(at::zeros({inputs, inputs})),
        hidden_target(at::zeros({inputs, hidden_size})) {}

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

at::Tensor RidgeSolution(const Moments& moments, const at::Tensor& w0, double ridge_share) {
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
    const double error = SquaredError(held_out, RidgeSolution(moments, w0, ridge));
    if (error < least) best = ridge;
    least = std::min(least, error);
  }
  return best;
}

// A projection's regression, from the first tokens to the weights.
class Regression {
 public:
  // weight: [hidden_size, inputs], f32; cast: its copy in the compute type. Solve sets both.
  Regression(at::Tensor weight, at::Tensor* cast)
      : weight_(std::move(weight)),
        cast_(cast),
        moments_(weight_.size(1), weight_.size(0)),
        held_out_(weight_.size(1), weight_.size(0)) {}

  // h, s and t of the `index`-th walk (FitProjections).
  void Add(size_t index, const at::Tensor& h, const at::Tensor& s, const at::Tensor& t) {
    (index % kHeldOut == 1 ? held_out_ : moments_).Add(h.to(at::kFloat), t - s, t);
  }

  // The squared errors of all tokens, summed, before and after.
  std::pair<double, double> Solve() {
    const at::Tensor w0 = weight_.t().contiguous();
    const double ridge = BestRidge(moments_, held_out_, w0);
    moments_.Add(held_out_);
    const at::Tensor w = RidgeSolution(moments_, w0, ridge);
    weight_.copy_(w.t());
    *cast_ = weight_.to(cast_->scalar_type());
    return {SquaredError(moments_, w0), SquaredError(moments_, w)};
  }

 private:
  at::Tensor weight_;
  at::Tensor* cast_;
  Moments moments_;
  Moments held_out_;
};

// Some sequences on their way through both models.
struct Walk {
  int64_t sequence;    // tokens of each
  at::Tensor teacher;  // its stream, f32
  at::Tensor student;
  at::Tensor x;  // what the student's heads have read in a layer, then its FFN's input
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

// Both models on the tokens of the fit, and what has been fitted.
class Fitting {
 public:
  Fitting(const Transformer& student, const Teacher& teacher, const BatchOrder& order,
          const Recipe& recipe)
      : student_(student),
        teacher_(teacher),
        fits_attention_(recipe.Trains(WeightGroup::kAttention)),
        weights_(std::make_shared<ComputeWeights>(*student.CastWeights(recipe.compute_type))),
        walks_(Start(student, teacher, order, recipe)) {
    options_.activation = FinalActivation(recipe);
    options_.compute_type = recipe.compute_type;
    options_.weights = weights_;
    for (const Walk& walk : walks_) fit_.tokens += walk.student.size(0);
  }

  const ProjectionFit& fit() const { return fit_; }

  // Layer after layer, from the first.
  void FitLayer(int layer) {
    FitAttention(layer);
    FitFeedForward(layer);
  }

 private:
  // Takes the teacher behind the layer.
  void FitAttention(int layer) {
    const Transformer& model = teacher_.model();
    Regression regression(student_.Weight(TensorRole::kAttentionOutput, layer).detach(),
                          &weights_->layers[layer].attention_output);
    for (size_t i = 0; i < walks_.size(); ++i) {
      Walk& walk = walks_[i];
      const NormedSum theirs = model.BeforeFeedForward(
          walk.teacher, model.Heads(walk.teacher, walk.sequence, layer, teacher_.options()), layer,
          teacher_.options());
      walk.x = student_.Heads(walk.student, walk.sequence, layer, options_);
      if (fits_attention_) regression.Add(i, walk.x, walk.student, theirs.sum);
      walk.teacher = theirs.sum + model.FeedForward(theirs.normed, layer, teacher_.options());
    }
    if (fits_attention_) regression.Solve();
  }

  // Takes the student behind the layer.
  void FitFeedForward(int layer) {
    Regression regression(student_.Weight(TensorRole::kDown, layer).detach(),
                          &weights_->layers[layer].down);
    for (size_t i = 0; i < walks_.size(); ++i) {
      Walk& walk = walks_[i];
      const NormedSum ours = student_.BeforeFeedForward(walk.student, walk.x, layer, options_);
      walk.student = ours.sum;
      walk.x = ours.normed;
      regression.Add(i, student_.GatedHidden(walk.x, layer, options_), walk.student, walk.teacher);
    }
    const auto [before, after] = regression.Solve();
    const auto parts = static_cast<double>(fit_.tokens * student_.config().num_hidden_layers);
    fit_.error_before += before / parts;
    fit_.error_after += after / parts;
    for (Walk& walk : walks_) {  // computes h again, which is larger than x to keep
      walk.student.add_(student_.FeedForward(walk.x, layer, options_));
    }
  }

  const Transformer& student_;
  const Teacher& teacher_;
  const bool fits_attention_;
  const std::shared_ptr<ComputeWeights> weights_;  // of options_, with what is fitted
  ForwardOptions options_;
  std::vector<Walk> walks_;
  ProjectionFit fit_;
};

}  // namespace

std::optional<ProjectionFit> FitProjections(const Transformer& student, const Teacher& teacher,
                                            const BatchOrder& order, const Recipe& recipe,
                                            const FitObserver& observer) {
  const c10::NoGradGuard no_grad;
  const int layers = student.config().num_hidden_layers;
  Fitting fitting(student, teacher, order, recipe);
  for (int layer = 0; layer < layers; ++layer) {
    fitting.FitLayer(layer);
    if (observer && !observer(layer + 1, layers)) return std::nullopt;
  }
  return fitting.fit();
}

}  // namespace stocha
