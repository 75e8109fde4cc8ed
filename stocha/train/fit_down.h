// A feed-forward layer whose activation has changed, fitted to what it computed before, in closed
// form.
#ifndef STOCHA_TRAIN_FIT_DOWN_H_
#define STOCHA_TRAIN_FIT_DOWN_H_

#include <cstdint>

#include "stocha/data/batch_order.h"
#include "stocha/recipe/recipe.h"
#include "stocha/train/teacher.h"
#include "stocha/train/transformer.h"

namespace stocha {

// AccumulateLayerwise's error on the tokens of the fit.
struct DownFit {
  double error_before = 0;
  double error_after = 0;
};

// Sets every layer's down projection to the W that minimises, over recipe.fit_tokens tokens from
// those that step `step` reads on,
//
//   sum |W h - y'|^2 / |stream + y'|^2  +  r |W - W0|^2
//
// h being act(gate) * up of the student, with the exported model's activation, on the teacher's
// input to the layer; y' the teacher's output, and the stream what it is added to; W0 the
// projection as it is; r a hundredth of the mean over neurons of the sum of h^2 / |stream + y'|^2
// (ridge regression, solved in f64 by Cholesky's factors). Takes 4 bytes * layers *
// intermediate_size * (intermediate_size + hidden_size) of memory while it runs.
DownFit FitDown(const Transformer& student, const Teacher& teacher, const BatchOrder& order,
                const Recipe& recipe, int64_t step);

}  // namespace stocha

#endif  // STOCHA_TRAIN_FIT_DOWN_H_
