#include "stocha/cli/threshold_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "stocha/base/error.h"
#include "stocha/report/page_parts.h"
#include "stocha/report/run_charts.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

// "none", "70 %", "62.5 %".
std::string Asked(const CurvePoint& point) {
  return point.thresholds.empty() ? "none" : fmt::format("{:g} %", 100 * point.asked);
}

std::string AgainstNone(const ThresholdCurve& curve, const CurvePoint& point) {
  const double none = curve.points.front().validation->Perplexity();
  return fmt::format("{:+.2f} %", 100 * (point.validation->Perplexity() / none - 1));
}

Chart PerplexityChart(const ThresholdCurve& curve) {
  Chart chart{.title = "Perplexity over sparsity",
              .height = 270,
              .x_bounds = {0, 100},
              .x_name = "silent, %"};
  for (const Ink ink : {Ink::kCurve, Ink::kFilled}) {
    Series series = RunSwatch(0, ink);
    series.label = "perplexity";
    for (const CurvePoint& point : curve.points) {
      series.points.push_back({100 * point.validation_sparsity, point.validation->Perplexity()});
    }
    std::ranges::sort(series.points, {}, &Point::x);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart LayerChart(const ThresholdCurve& curve) {
  Chart chart{.title = "Sparsity by layer",
              .height = 270,
              .y_format = NumberFormat::kPercent,
              .y_bounds = {0, 1},
              .x_name = "layer"};
  for (size_t i = 0; i < curve.points.size(); ++i) {
    const CurvePoint& point = curve.points[i];
    Series series = RunSwatch(i, Ink::kCurve);
    series.label = Asked(point);
    series.end_label = series.label;
    for (size_t layer = 0; layer < point.by_layer.size(); ++layer) {
      series.points.push_back({static_cast<double>(layer), point.by_layer[layer]});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace

void PrintCurve(const ThresholdCurve& curve) {
  const bool validated = !curve.validation.empty();
  fmt::print("{:<11} {:>9} {:>17}", "sparsity", "on text", "least, most layer");
  if (validated) fmt::print(" {:>14} {:>11} {:>13}", "on validation", "perplexity", "against none");
  fmt::print("\n");
  for (const CurvePoint& point : curve.points) {
    const auto [least, most] = std::ranges::minmax(point.by_layer);
    fmt::print("{:<11} {:>7.2f} % {:>6.1f} % {:>6.1f} %", Asked(point), 100 * point.sparsity,
               100 * least, 100 * most);
    if (validated) {
      fmt::print(" {:>12.2f} % {:>11.4f} {:>13}", 100 * point.validation_sparsity,
                 point.validation->Perplexity(),
                 point.thresholds.empty() ? "" : AgainstNone(curve, point));
    }
    fmt::print("\n");
  }
}

OrderedJson CurveJson(const ThresholdCurve& curve) {
  OrderedJson points = OrderedJson::array();
  for (const CurvePoint& point : curve.points) {
    OrderedJson json = {{"asked", nullptr},
                        {"sparsity", point.sparsity},
                        {"sparsity_by_layer", point.by_layer},
                        {"thresholds", nullptr}};
    if (!point.thresholds.empty()) {
      json["asked"] = point.asked;
      json["thresholds"] = point.thresholds;
    }
    if (point.validation) {
      json["validation"] = {{"sparsity", point.validation_sparsity},
                            {"perplexity", point.validation->Perplexity()},
                            {"nll_per_token", point.validation->NllPerToken()},
                            {"bits_per_byte", point.validation->BitsPerByte()},
                            {"tokens", point.validation->tokens}};
    }
    points.push_back(std::move(json));
  }
  return {{"model", curve.model},     {"text", curve.text},
          {"tokens", curve.tokens},   {"validation", curve.validation},
          {"sharing", curve.sharing}, {"points", std::move(points)}};
}

std::string RenderCurve(const ThresholdCurve& curve) {
  const std::string title = "Quality against sparsity";
  std::string out = BeginPage(title);
  out += fmt::format("<header><h1>{}</h1>\n", title);
  AddFacts(
      {{"Model", curve.model},
       {"Thresholds from", fmt::format("{} tokens of {}", curve.tokens, curve.text)},
       {"Perplexity on",
        fmt::format("{} tokens of {}", curve.points.front().validation->tokens, curve.validation)}},
      &out);
  out += "</header>\n<main>\n<div class=\"pair\">\n";
  AddSmallFigure(PerplexityChart(curve), "Perplexity against sparsity",
                 "of the validation text; the leftmost point has no thresholds", &out);
  AddSmallFigure(LayerChart(curve), "Sparsity by layer", "on the text of the thresholds", &out);
  return out + "</div>\n</main>\n" + EndPage();
}

}  // namespace stocha
