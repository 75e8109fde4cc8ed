// The projections of a model whose activation has changed, fitted to what it computed before, in
// closed form.
#ifndef STOCHA_TRAIN_FIT_PROJECTIONS_H_
#define STOCHA_TRAIN_FIT_PROJECTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "stocha/data/batch_order.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/teacher.h"
#include "stocha/train/transformer.h"

namespace stocha {

// |stream - teacher's|^2 / |teacher's|^2 behind a layer's FFN, the mean over the tokens of the fit
// and over layers, those before the layer being fitted already, and its attention.
struct ProjectionFit {
  double error_before = 0;  // had the layer kept its down projection
  double error_after = 0;
  int64_t tokens = 0;  // recipe.fit_tokens in whole windows, no more than the text has
};

// Told behind each layer how many of how many are fitted; false: stop.
using FitObserver = std::function<bool(int layers, int of)>;

// Sets what writes to the residual stream, from the first layer on, to the W that minimises, over
// ProjectionFit::tokens tokens that follow those of the run's last step (a step that has been
// fitted on its own tokens learns little from them),
//
//   sum |s + W h - t|^2 / |t|^2  +  r |W - W0|^2
//
// W being attention's output projection (where the recipe trains attention), then the down
// projection; t the teacher's residual stream behind it; s the student's before it, with all that
// those fitted before it have added; h what the student multiplies with W there: what the heads
// read, or act(gate) * up with the exported model's activation; W0 the projection as it is; r a
// share of the mean over neurons of the sum of h^2 / |t|^2 (ridge regression, solved in f64 by
// Cholesky's factors): the one of {0.01, 0.03, 0.1, 0.3, 1} with which the solution on seven
// eighths of the tokens errs least on the others. So a layer makes up for what those before it got
// wrong, too. Takes, while it runs, 12 bytes * fit_tokens * hidden_size and 24 bytes *
// intermediate_size^2 of memory, about.
// Nothing when `observer` (may be empty) has stopped it: the student is fitted in part then.
std::optional<ProjectionFit> FitProjections(const Transformer& student, const Teacher& teacher,
                                            const BatchOrder& order, const Recipe& recipe,
                                            const FitObserver& observer = {});

}  // namespace stocha

#endif  // STOCHA_TRAIN_FIT_PROJECTIONS_H_
