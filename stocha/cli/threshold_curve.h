// The results of `stocha calibrate --sparsity`: what each sparsity costs, as a table, JSON or a
// page.
#ifndef STOCHA_CLI_THRESHOLD_CURVE_H_
#define STOCHA_CLI_THRESHOLD_CURVE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "stocha/eval/perplexity.h"

namespace stocha {

struct CurvePoint {
  double asked = 0;               // of --sparsity
  std::vector<float> thresholds;  // [layers]; empty: the model without any
  std::vector<double> by_layer;   // [layers], sparsity on the text
  double sparsity = 0;            // of all layers, on the text
  // On the validation text, if one was given.
  std::optional<PerplexityResult> validation;
  double validation_sparsity = 0;
};

struct ThresholdCurve {
  std::string model;
  std::string text;
  std::string validation;  // empty: none
  std::string sharing;
  int64_t tokens = 0;              // of the text
  std::vector<CurvePoint> points;  // the model without thresholds, then as they were asked for
};

void PrintCurve(const ThresholdCurve& curve);
nlohmann::ordered_json CurveJson(const ThresholdCurve& curve);
// One self-contained page, as of `stocha report`; of a curve with validation.
std::string RenderCurve(const ThresholdCurve& curve);

}  // namespace stocha

#endif  // STOCHA_CLI_THRESHOLD_CURVE_H_
