#include "stocha/train/training_loop.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <cmath>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/recipe/schedule.h"
#include "stocha/train/export.h"
#include "stocha/train/fit_projections.h"
#include "stocha/train/gradients.h"
#include "stocha/train/validation.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

std::vector<at::Tensor> FirstWeights(const TrainingInputs& inputs, const SavedState* saved) {
  if (saved != nullptr) return LoadWeights(saved->model);
  if (inputs.init()) return LoadWeights(*inputs.init());
  return RandomWeights(inputs.recipe().model, inputs.recipe().seed);
}

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

TrainingLoop::TrainingLoop(const TrainingInputs& inputs, const RunFolder& folder,
                           const SavedState* saved, int64_t threads, TrainingObserver* observer)
    : inputs_(inputs),
      recipe_(inputs.recipe()),
      folder_(folder),
      observer_(observer),
      threads_(threads),
      model_(recipe_.model, FirstWeights(inputs, saved)),
      optimizer_(model_.specs(), model_.weights(), recipe_),
      log_(folder.metrics(), saved == nullptr ? 0 : saved->facts.step) {
  SetTrained(recipe_, model_.specs(), model_.weights());
  if (inputs.teacher()) teacher_.emplace(*inputs.teacher(), recipe_.compute_type);
  if (saved == nullptr) return;
  RestoreOptimizer(*saved, model_.specs(), &optimizer_);
  last_checkpoint_ = saved->directory;
}

TrainingResult TrainingLoop::Run(const std::function<bool()>& stop_requested) {
  observer_->OnStart({.step = optimizer_.step(),
                      .steps = recipe_.steps,
                      .parameters = CountParameters(recipe_.model),
                      .tokens_per_step = TokensPerStep(),
                      .threads = threads_});
  last_save_ = Clock::now();
  if (optimizer_.step() == 0 && inputs_.init()) ValidateAtStart();
  while (optimizer_.step() < recipe_.steps) {
    if (!FitIfDue(stop_requested)) return {.finished = false, .steps = optimizer_.step()};
    TrainStep();
    ValidateIfDue();
    const int64_t done = optimizer_.step();
    const bool stop = done < recipe_.steps && stop_requested && stop_requested();
    if (stop || CheckpointDue()) SaveCheckpoint();
    if (stop) return {.finished = false, .steps = done};
  }
  Export();
  return {.finished = true, .steps = recipe_.steps};
}

bool TrainingLoop::FitIfDue(const std::function<bool()>& stop_requested) {
  const int64_t step = optimizer_.step();
  if (step != FitStep(recipe_)) return true;
  const std::optional<ProjectionFit> fit =
      FitProjections(model_, *teacher_, inputs_.train(), recipe_, [&](int layers, int of) {
        observer_->OnFittedLayer(layers, of);
        return layers == of || !stop_requested || !stop_requested();
      });
  if (!fit) return false;
  std::string note = fmt::format("projections fitted on {} tokens: error {:.4f} -> {:.4f}",
                                 fit->tokens, fit->error_before, fit->error_after);
  if (inputs_.validation() != nullptr) {
    const ValidationMetrics metrics =
        Validate(model_, *inputs_.validation(), recipe_, FinalActivation(recipe_), step);
    note += fmt::format(", validation loss {:.4f} with {}", metrics.loss, metrics.activation);
  }
  observer_->OnNote(note);
  return true;
}

void TrainingLoop::TrainStep() {
  const Clock::time_point start = Clock::now();
  const int64_t step = optimizer_.step();
  const auto [gradients, norm] = Gradients(step, recipe_.batch_size);
  const double learning_rate = LearningRateAt(recipe_, step);
  optimizer_.Step(learning_rate, norm);

  const Activation activation = ActivationAt(recipe_, step);
  const StepMetrics metrics{
      .step = step,
      .loss = gradients.loss,
      .learning_rate = learning_rate,
      .gradient_norm = norm,
      .activation = ToString(activation),
      .p = activation.p(),
      .tokens = (step + 1) * TokensPerStep(),
      .tokens_per_s = static_cast<double>(TokensPerStep()) / Seconds(Clock::now() - start),
      .sparsity = Sparsity(gradients.stats, TokensPerStep(), recipe_.model),
      .distillation = gradients.distillation};
  log_.Append(ToJsonLine(metrics));
  observer_->OnStep(metrics);
}

void TrainingLoop::ValidateIfDue() {
  if (inputs_.validation() == nullptr) return;
  for (const Activation& activation : ValidationsDue(recipe_, optimizer_.step())) {
    ValidateWith(activation);
  }
}

void TrainingLoop::ValidateAtStart() {
  if (inputs_.validation() == nullptr) return;
  const Activation own = inputs_.init()->config.activation;
  ValidateWith(own);
  if (FinalActivation(recipe_) != own) ValidateWith(FinalActivation(recipe_));
}

void TrainingLoop::ValidateWith(const Activation& activation) {
  const ValidationMetrics metrics =
      Validate(model_, *inputs_.validation(), recipe_, activation, optimizer_.step());
  log_.Append(ToJsonLine(metrics));
  observer_->OnValidation(metrics);
}

// Also before the fit, which may be stopped half-way, and at the end, so that an export that fails
// (a full disk) can be repeated by a resume.
bool TrainingLoop::CheckpointDue() const {
  const int64_t done = optimizer_.step();
  return done == recipe_.steps || done == FitStep(recipe_) ||
         (recipe_.checkpoint_every > 0 && done % recipe_.checkpoint_every == 0) ||
         (recipe_.checkpoint_minutes > 0 &&
          Seconds(Clock::now() - last_save_) >= 60 * recipe_.checkpoint_minutes);
}

void TrainingLoop::SaveCheckpoint() {
  CheckWeights();
  try {
    log_.Sync();
    last_checkpoint_ = SaveState(folder_.checkpoints(), recipe_,
                                 {.step = optimizer_.step(),
                                  .threads = threads_,
                                  .train_windows = inputs_.train().num_windows(),
                                  .torch = TORCH_VERSION},
                                 model_, optimizer_);
  } catch (const Error& error) {
    throw Error({.where = "step " + std::to_string(optimizer_.step()),
                 .what = std::string("no checkpoint: ") + error.what(),
                 .hint = last_checkpoint_.empty()
                             ? "there is no older one"
                             : "then continue with --resume from " + last_checkpoint_.string()});
  }
  last_save_ = Clock::now();
  observer_->OnCheckpoint(last_checkpoint_);
}

// The last update may have spoilt the weights, which only the next loss would show. A look at part
// of the next step keeps a bad checkpoint from ever pushing out a good one.
void TrainingLoop::CheckWeights() {
  Gradients(optimizer_.step(), MicroBatchSize(recipe_));
  optimizer_.DropGradients();
}

std::pair<StepGradients, double> TrainingLoop::Gradients(int64_t step, int64_t sequences) {
  StepGradients gradients = AccumulateGradients(model_, teacher_ ? &*teacher_ : nullptr,
                                                inputs_.train(), recipe_, step, sequences);
  const double gradient_norm = optimizer_.GradientNorm();
  // A layerwise step has no loss but the distillation's.
  const double loss = std::isnan(gradients.distillation) ? gradients.loss : gradients.distillation;
  const bool loss_is_finite = std::isfinite(loss);
  if (loss_is_finite && std::isfinite(gradient_norm)) return {std::move(gradients), gradient_norm};
  throw Error({.where = "step " + std::to_string(step),
               .what = loss_is_finite ? "the gradient is not finite" : "the loss is not finite",
               .got = std::to_string(loss_is_finite ? gradient_norm : loss),
               .hint = (last_checkpoint_.empty()
                            ? "no checkpoint was written yet"
                            : "the last good checkpoint is " + last_checkpoint_.string()) +
                       "; try a lower optimizer.learning_rate or a longer warm-up"});
}

void TrainingLoop::Export() {
  const Activation activation = FinalActivation(recipe_);
  ExportModel(model_, activation, recipe_.export_type, folder_.final_model(), recipe_.tokenizer);
  const std::string warning = ExportWarning(activation);
  if (!warning.empty()) observer_->OnNote(warning);
}

}  // namespace stocha
