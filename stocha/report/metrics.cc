#include "stocha/report/metrics.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStep = "step";
constexpr std::string_view kValidation = "validation";

// JSON has no NaN and no infinity: they are written as null, and null is read as NaN.
double ReadNumber(const JsonObject& line, std::string_view key) {
  const auto entry = line.value().find(key);
  if (entry != line.value().end() && entry->is_null()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return line.Number(key);
}

std::vector<double> ReadNumbers(const JsonObject& line, std::string_view key) {
  std::vector<double> numbers;
  const Json& array = line.Array(key);
  numbers.reserve(array.size());
  for (const Json& number : array) {
    if (!number.is_number()) line.Fail(key, "an array of numbers");
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

StepMetrics ReadStep(const JsonObject& line) {
  return {.step = line.Integer("step", 0),
          .loss = ReadNumber(line, "loss"),
          .learning_rate = ReadNumber(line, "lr"),
          .gradient_norm = ReadNumber(line, "grad_norm"),
          .activation = line.String("activation"),
          .p = ReadNumber(line, "p"),
          .tokens = line.Integer("tokens", 0),
          .tokens_per_s = ReadNumber(line, "tokens_per_s"),
          .sparsity = ReadNumbers(line, "sparsity"),
          .distillation = line.value().contains("distillation")
                              ? ReadNumber(line, "distillation")
                              : std::numeric_limits<double>::quiet_NaN()};
}

ValidationMetrics ReadValidation(const JsonObject& line) {
  return {.step = line.Integer("step", 0),
          .loss = ReadNumber(line, "loss"),
          .activation = line.String("activation"),
          .sparsity = ReadNumbers(line, "sparsity")};
}

// Calls `visit` with each line, as text and parsed. What follows the last line end is left out: a
// kill cut it off.
void ForEachLine(std::string_view text, const fs::path& file,
                 const std::function<void(std::string_view, const JsonObject&)>& visit) {
  int64_t number = 1;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::string where = file.string() + ":" + std::to_string(number++);
    const Json value = ParseJson(text.substr(0, end), where);
    const JsonObject line(value, where);
    const std::string type = line.String("type");
    if (type != kStep && type != kValidation) line.Fail("type", "\"step\" or \"validation\"");
    visit(text.substr(0, end + 1), line);
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string ShownLoss(const StepMetrics& metrics) {
  return metrics.layerwise() ? fmt::format("error {:.4f}", metrics.distillation)
                             : fmt::format("loss {:.4f}", metrics.loss);
}

std::string ToJsonLine(const StepMetrics& metrics) {
  nlohmann::ordered_json line = {{"type", kStep},
                                 {"step", metrics.step},
                                 {"loss", metrics.loss},
                                 {"lr", metrics.learning_rate},
                                 {"grad_norm", metrics.gradient_norm},
                                 {"activation", metrics.activation},
                                 {"p", metrics.p},
                                 {"tokens", metrics.tokens},
                                 {"tokens_per_s", metrics.tokens_per_s},
                                 {"sparsity", metrics.sparsity}};
  if (!std::isnan(metrics.distillation)) line["distillation"] = metrics.distillation;
  return line.dump();
}

std::string ToJsonLine(const ValidationMetrics& metrics) {
  const nlohmann::ordered_json line = {{"type", kValidation},
                                       {"step", metrics.step},
                                       {"loss", metrics.loss},
                                       {"activation", metrics.activation},
                                       {"sparsity", metrics.sparsity}};
  return line.dump();
}

RunMetrics ReadRunMetrics(const fs::path& run) {
  const fs::path file = run / "metrics.jsonl";
  // "runs/a/" is named "a" too.
  RunMetrics metrics{.name = (run.has_filename() ? run : run.parent_path()).filename().string()};
  ForEachLine(ReadFile(file), file, [&](std::string_view, const JsonObject& line) {
    if (line.String("type") == kStep) {
      metrics.steps.push_back(ReadStep(line));
    } else {
      metrics.validations.push_back(ReadValidation(line));
    }
  });
  return metrics;
}

void TruncateMetrics(const fs::path& file, int64_t step) {
  if (!fs::exists(file)) return;
  const std::string text = ReadFile(file);
  std::string kept;
  if (step > 0) {
    ForEachLine(text, file, [&](std::string_view line_text, const JsonObject& line) {
      // A step's line counts from 0, a validation's is the number of steps done.
      const int64_t steps_done = line.Integer("step", 0) + (line.String("type") == kStep ? 1 : 0);
      if (steps_done <= step) kept += line_text;
    });
  }
  if (kept != text) WriteFile(file, kept);
}

}  // namespace stocha
