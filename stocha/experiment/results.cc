#include "stocha/experiment/results.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/model/tensors.h"
#include "stocha/recipe/schedule.h"
#include "stocha/report/run_summary.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::array<std::pair<RunStatus, std::string_view>, 4> kStatusNames = {
    {{RunStatus::kRunning, "running"},
     {RunStatus::kStopped, "stopped"},
     {RunStatus::kFailed, "failed"},
     {RunStatus::kFinished, "finished"}}};

std::string_view NameOf(RunStatus status) {
  return std::ranges::find(kStatusNames, status, &std::pair<RunStatus, std::string_view>::first)
      ->second;
}

OrderedJson OrNull(double value) {
  return std::isfinite(value) ? OrderedJson(value) : OrderedJson(nullptr);
}

OrderedJson ListOrNull(const std::vector<double>& values) {
  OrderedJson list = OrderedJson::array();
  for (const double value : values) list.push_back(OrNull(value));
  return list;
}

double Mean(const std::vector<double>& values) {
  if (values.empty()) return kNotKnown;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double SampleDeviation(const std::vector<double>& values) {
  if (values.size() < 2) return kNotKnown;
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

const ValidationMetrics* FindValidation(const RunMetrics& metrics, int64_t step,
                                        const std::string& activation) {
  for (const ValidationMetrics& validation : metrics.validations) {
    if (validation.step == step && validation.activation == activation) return &validation;
  }
  return nullptr;
}

ValidationPoint PointOf(const Recipe& recipe, const ValidationMetrics& validation) {
  const auto trains_at = [&](int64_t step) {
    const int64_t nearest = std::clamp<int64_t>(step, 0, recipe.steps - 1);
    return ToString(ActivationAt(recipe, nearest)) == validation.activation;
  };
  return {.tokens = validation.step * recipe.batch_size * recipe.sequence_length,
          .loss = validation.loss,
          .activation = validation.activation,
          .as_trained = trains_at(validation.step - 1) || trains_at(validation.step),
          .sparsity = MeanOfFinite(validation.sparsity)};
}

double LossOf(const ValidationMetrics* validation) {
  return validation == nullptr ? kNotKnown : validation->loss;
}

OrderedJson ValidationsJson(const std::vector<ValidationPoint>& validations) {
  OrderedJson list = OrderedJson::array();
  for (const ValidationPoint& validation : validations) {
    list.push_back({{"tokens", validation.tokens},
                    {"loss", OrNull(validation.loss)},
                    {"activation", validation.activation},
                    {"as_trained", validation.as_trained},
                    {"sparsity", OrNull(validation.sparsity)}});
  }
  return list;
}

OrderedJson RunJson(const RunResult& run) {
  return {{"run", run.run},
          {"setting", run.setting},
          {"name", run.arm},
          {"seed", run.seed},
          {"learning_rate", run.learning_rate},
          {"status", NameOf(run.status)},
          {"error", run.error},
          {"commit", run.commit},
          {"machine", run.machine},
          {"params", run.params},
          {"body_params", run.body_params},
          {"tokens", run.tokens},
          {"val_loss", OrNull(run.val_loss)},
          {"activation", run.activation},
          {"val_loss_before_switch", OrNull(run.val_loss_before_switch)},
          {"val_loss_at_switch", OrNull(run.val_loss_at_switch)},
          {"train_loss", OrNull(run.train_loss)},
          {"sparsity", OrNull(run.sparsity)},
          {"sparsity_by_layer", ListOrNull(run.sparsity_by_layer)},
          {"validations", ValidationsJson(run.validations)},
          {"seconds", run.seconds},
          {"tokens_per_s", OrNull(run.tokens_per_s)}};
}

RunStatus StatusOf(const JsonObject& object) {
  const std::string name = object.String("status");
  for (const auto& [status, known] : kStatusNames) {
    if (known == name) return status;
  }
  object.Fail("status", "running, stopped, failed or finished");
}

RunResult ParseRun(const JsonObject& object, std::string_view where) {
  RunResult run{.run = object.String("run"),
                .setting = object.String("setting"),
                .arm = object.String("name"),
                .seed = static_cast<uint64_t>(object.Integer("seed", 0)),
                .learning_rate = object.Number("learning_rate"),
                .status = StatusOf(object),
                .error = object.String("error"),
                .commit = object.String("commit"),
                .machine = object.Has("machine") ? object.String("machine") : "",
                .params = object.Integer("params", 0),
                .body_params = object.Integer("body_params", 0),
                .tokens = object.Integer("tokens", 0),
                .val_loss = object.NumberOr("val_loss", kNotKnown),
                .activation = object.String("activation"),
                .val_loss_before_switch = object.NumberOr("val_loss_before_switch", kNotKnown),
                .val_loss_at_switch = object.NumberOr("val_loss_at_switch", kNotKnown),
                .train_loss = object.NumberOr("train_loss", kNotKnown),
                .sparsity = object.NumberOr("sparsity", kNotKnown),
                .seconds = object.Number("seconds"),
                .tokens_per_s = object.NumberOr("tokens_per_s", kNotKnown)};
  for (const Json& value : object.Array("sparsity_by_layer")) {
    run.sparsity_by_layer.push_back(value.is_number() ? value.get<double>() : kNotKnown);
  }
  if (!object.Has("validations")) return run;  // of a version that did not keep them
  for (const Json& value : object.Array("validations")) {
    const JsonObject validation(value, where, "arms.validations.");
    run.validations.push_back({.tokens = validation.Integer("tokens", 0),
                               .loss = validation.NumberOr("loss", kNotKnown),
                               .activation = validation.String("activation"),
                               .as_trained = validation.Bool("as_trained"),
                               .sparsity = validation.NumberOr("sparsity", kNotKnown)});
  }
  return run;
}

OrderedJson GroupJson(const GroupResult& group) {
  return {{"setting", group.setting},
          {"name", group.arm},
          {"learning_rate", OrNull(group.learning_rate)},
          {"learning_rates", ListOrNull(group.learning_rates)},
          {"scan_losses", ListOrNull(group.scan_losses)},
          {"seeds", group.losses.size()},
          {"val_loss", OrNull(group.mean_loss)},
          {"val_loss_spread", OrNull(group.spread)},
          {"sparsity", OrNull(group.sparsity)}};
}

bool IsFinished(const RunResult* run) {
  return run != nullptr && run->status == RunStatus::kFinished;
}

}  // namespace

void AddMetrics(const Recipe& recipe, const ModelConfig& model, const RunMetrics& metrics,
                RunResult* result) {
  result->params = CountParameters(model);
  result->body_params = 0;
  for (const TensorSpec& spec : ListTensors(model)) {
    const ModelPart part = PartOf(spec.role);
    if (part == ModelPart::kEmbedding || part == ModelPart::kHead) continue;
    result->body_params += spec.num_elements();
  }
  result->activation = ToString(FinalActivation(recipe));
  result->validations.clear();
  for (const ValidationMetrics& validation : metrics.validations) {
    result->validations.push_back(PointOf(recipe, validation));
  }
  if (metrics.steps.empty()) return;
  const RunSummary summary = Summarize(metrics);
  result->tokens = metrics.steps.back().tokens;
  result->train_loss = summary.final_train_loss;
  result->tokens_per_s = summary.tokens_per_s;
  result->seconds = 0;
  int64_t before = 0;  // tokens
  for (const StepMetrics& step : metrics.steps) {
    const auto tokens = static_cast<double>(step.tokens - std::exchange(before, step.tokens));
    if (step.tokens_per_s > 0) result->seconds += tokens / step.tokens_per_s;
  }
  const ValidationMetrics* end = FindValidation(metrics, recipe.steps, result->activation);
  result->val_loss = LossOf(end);
  if (end != nullptr) {
    result->sparsity_by_layer = end->sparsity;
    result->sparsity = MeanOfFinite(end->sparsity);
  }
  const std::vector<int64_t> switches = ActivationSwitches(recipe);
  if (switches.empty()) return;
  const std::string until_then = ToString(ActivationAt(recipe, switches.back() - 1));
  result->val_loss_before_switch = LossOf(FindValidation(metrics, switches.back(), until_then));
  result->val_loss_at_switch = LossOf(FindValidation(metrics, switches.back(), result->activation));
}

GroupResult SumUp(const RunGroup& group, const std::vector<RunResult>& runs) {
  GroupResult sum{
      .setting = group.setting, .arm = group.arm, .learning_rates = group.learning_rates};
  bool scanned = true;
  double least = std::numeric_limits<double>::infinity();
  for (const ExperimentRun& run : group.FirstRuns()) {
    const RunResult* found = FindRun(runs, group.NameOf(run));
    scanned = scanned && found != nullptr && IsOver(found->status);
    const double loss = IsFinished(found) ? found->val_loss : kNotKnown;
    sum.scan_losses.push_back(loss);
    if (!(loss < least)) continue;
    least = loss;
    sum.learning_rate = run.learning_rate;
  }
  if (!scanned) sum.learning_rate = kNotKnown;
  if (group.learning_rates.size() == 1) sum.learning_rate = group.learning_rates[0];
  if (!std::isfinite(sum.learning_rate)) return sum;
  std::vector<double> sparsities;
  for (const uint64_t seed : group.seeds) {
    const RunResult* found =
        FindRun(runs, group.NameOf({.seed = seed, .learning_rate = sum.learning_rate}));
    if (!IsFinished(found)) continue;
    sum.runs.push_back(found->run);
    sum.losses.push_back(found->val_loss);
    sparsities.push_back(found->sparsity);
  }
  sum.mean_loss = Mean(sum.losses);
  sum.spread = SampleDeviation(sum.losses);
  sum.sparsity = MeanOfFinite(sparsities);
  return sum;
}

const RunResult* FindRun(const std::vector<RunResult>& runs, std::string_view run) {
  const auto found = std::ranges::find(runs, run, &RunResult::run);
  return found == runs.end() ? nullptr : &*found;
}

RunResult* ExperimentResults::Find(std::string_view run) {
  const auto found = std::ranges::find(runs, run, &RunResult::run);
  return found == runs.end() ? nullptr : &*found;
}

std::string ToJson(const ExperimentResults& results, const std::vector<GroupResult>& groups) {
  OrderedJson json = results.facts;
  json["groups"] = OrderedJson::array();
  for (const GroupResult& group : groups) json["groups"].push_back(GroupJson(group));
  json["arms"] = OrderedJson::array();
  for (const RunResult& run : results.runs) json["arms"].push_back(RunJson(run));
  return json.dump(1) + "\n";
}

ExperimentResults ParseResults(std::string_view json, std::string_view where) {
  const Json whole = ParseJson(json, where);
  const JsonObject object(whole, where);
  ExperimentResults results;
  for (const char* fact : {"machine", "commit", "recipe", "recipe_sha256", "text"}) {
    if (whole.contains(fact)) results.facts[fact] = whole[fact];
  }
  for (const Json& run : object.Array("arms")) {
    results.runs.push_back(ParseRun(JsonObject(run, where, "arms."), where));
  }
  return results;
}

}  // namespace stocha
