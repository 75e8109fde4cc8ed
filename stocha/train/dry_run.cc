#include "stocha/train/dry_run.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "stocha/base/memory.h"
#include "stocha/base/progress.h"
#include "stocha/train/inputs.h"
#include "stocha/train/torch_setup.h"

namespace stocha {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kSecondsAnHour = 3600;

std::string Gigabytes(int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

void Measure(const Recipe& recipe, int64_t probe_steps, DryRun* run) {
  if (probe_steps == 0) {
    run->fits = run->needed_bytes() <= run->available_bytes + run->process_bytes;
    return;
  }
  if (EstimateNeeds(recipe) > run->available_bytes) {
    run->fits = false;
    return;
  }
  run->memory = EstimateStepMemory(recipe);
  run->fits = run->needed_bytes() <= run->available_bytes + run->process_bytes;
  if (!run->fits) return;
  const ProbedStep probed = ProbeStep(recipe, probe_steps);
  run->memory = probed.memory;
  run->tokens_per_s = probed.tokens_per_s;
}

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

Recipe CompleteRecipe(const Recipe& recipe, std::string* note) {
  const bool model_is_known = recipe.init_from.empty() && recipe.model.vocab_size > 0;
  if (model_is_known && !std::filesystem::exists(recipe.train.at(0))) {
    *note = recipe.train[0] + " is not there yet";
    return recipe;
  }
  return TrainingInputs(recipe, /*resumed=*/nullptr).recipe();
}

std::optional<double> DryRun::hours() const {
  if (!tokens_per_s) return std::nullopt;
  return static_cast<double>(steps) * static_cast<double>(tokens_per_step) / *tokens_per_s /
         kSecondsAnHour;
}

DryRun DryRunOf(const Recipe& given, int64_t probe_steps) {
  DryRun run;
  const Recipe recipe = CompleteRecipe(given, &run.note);
  try {
    SetUpTorch(recipe);
    run.cost = CostOfStep(recipe.model, recipe.sequence_length);
    run.steps = recipe.steps;
    run.tokens_per_step = recipe.batch_size * recipe.sequence_length;
    run.has_fit = recipe.fit_tokens > 0;
    run.process_bytes = ResidentBytes();
    run.available_bytes = AvailableMemory();
    Measure(recipe, probe_steps, &run);
  } catch (const c10::Error& error) {
    ThrowTorchError(error);
  }
  return run;
}

std::string ToText(const DryRun& run) {
  const std::string skipped = run.fits ? "not probed" : "no probe: it does not fit";
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    text += fmt::format("{:<24} {}\n", name, value);
  };
  line("parameters", FormatCount(static_cast<double>(run.cost.parameters)));
  line("FLOPs a token", FormatCount(run.cost.flops_per_token));
  line("weights", Gigabytes(run.cost.weight_bytes));
  line("gradients", Gigabytes(run.cost.gradient_bytes));
  line("optimizer", Gigabytes(run.cost.optimizer_bytes));
  line("activations", run.memory ? Gigabytes(run.memory->activations) : skipped);
  line("peak of a step", fmt::format("{}{}, of {} available", run.memory ? "" : "more than ",
                                     Gigabytes(run.needed_bytes()),
                                     Gigabytes(run.available_bytes + run.process_bytes)));
  line("tokens/s", run.tokens_per_s ? fmt::format("{:.0f}", *run.tokens_per_s) : skipped);
  line("tokens", fmt::format("{} in {} steps of {}",
                             FormatCount(static_cast<double>(run.steps) *
                                         static_cast<double>(run.tokens_per_step)),
                             run.steps, run.tokens_per_step));
  line("to the end", run.hours() ? fmt::format("{:.2f} hours, without validation{} checkpoints",
                                               *run.hours(), run.has_fit ? ", the fit and" : " and")
                                 : skipped);
  text.pop_back();
  return text;
}

std::string ToJson(const DryRun& run) {
  return Json{{"parameters", run.cost.parameters},
              {"flops_per_token", run.cost.flops_per_token},
              {"weight_bytes", run.cost.weight_bytes},
              {"gradient_bytes", run.cost.gradient_bytes},
              {"optimizer_bytes", run.cost.optimizer_bytes},
              {"activation_bytes", run.memory ? Json(run.memory->activations) : Json(nullptr)},
              {"peak_bytes", run.memory ? Json(run.memory->peak) : Json(nullptr)},
              {"available_bytes", run.available_bytes + run.process_bytes},
              {"fits", run.fits},
              {"steps", run.steps},
              {"tokens_per_step", run.tokens_per_step},
              {"tokens_per_s", OrNull(run.tokens_per_s)},
              {"hours", OrNull(run.hours())}}
      .dump();
}

}  // namespace stocha
