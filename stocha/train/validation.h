// The loss on data that is not trained on, with any activation: the current one, and the one that
// the exported model will use.
#ifndef STOCHA_TRAIN_VALIDATION_H_
#define STOCHA_TRAIN_VALIDATION_H_

#include <cstdint>
#include <vector>

#include "stocha/data/batch_order.h"
#include "stocha/recipe/recipe.h"
#include "stocha/report/metrics.h"
#include "stocha/train/transformer.h"

namespace stocha {

// Windows in file order: all, or the first validation_batches micro batches. The coins of a
// stochastic activation are the same each time, so that losses of two steps can be compared.
// `steps_done` goes into the result.
ValidationMetrics Validate(const Transformer& model, const BatchOrder& order, const Recipe& recipe,
                           const Activation& activation, int64_t steps_done);

// The activations to validate with when `steps_done` steps are done; none when nothing is due. The
// one just trained with; at a switch and at the end also the next phase's and the exported model's,
// so that the loss before and after the switch is known.
std::vector<Activation> ValidationsDue(const Recipe& recipe, int64_t steps_done);

}  // namespace stocha

#endif  // STOCHA_TRAIN_VALIDATION_H_
