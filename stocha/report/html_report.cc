#include "stocha/report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/report/chart.h"
#include "stocha/report/heat_map.h"
#include "stocha/report/markup.h"
#include "stocha/report/page_parts.h"
#include "stocha/report/run_charts.h"
#include "stocha/report/run_summary.h"
#include "stocha/report/sparsity_charts.h"

namespace stocha {
namespace {

constexpr int64_t kLargestCount = int64_t{1} << 53;  // exact as a double

// What every chart relies on.
void CheckRun(const RunMetrics& run) {
  if (run.steps.empty()) {
    throw Error({.where = run.name,
                 .what = "no training step in its metrics",
                 .hint = "train at least one step"});
  }
  const auto check = [&run](int64_t step, int64_t lowest) {
    if (step >= lowest && step <= kLargestCount) return;
    throw Error({.where = run.name,
                 .what = "metrics out of order",
                 .got = "step " + std::to_string(step),
                 .expected = fmt::format("{} to 2^53", lowest)});
  };
  int64_t lowest = 0;
  for (const StepMetrics& step : run.steps) {
    check(step.step, lowest);
    lowest = step.step + 1;
  }
  lowest = 0;
  for (const ValidationMetrics& validation : run.validations) {
    check(validation.step, lowest);
    lowest = validation.step;
  }
}

std::string OrDash(double value, const std::string& text) {
  return std::isfinite(value) ? text : "–";
}

std::string PercentOrDash(double value) {
  return OrDash(value, fmt::format("{:.2f}%", 100 * value));
}

// "stocha:0.7 → relu".
std::string Activations(const RunMetrics& run) {
  const std::string& first = run.steps.front().activation;
  const std::string& last = run.steps.back().activation;
  return first == last ? first : first + " → " + last;
}

void AddHeader(Runs runs, const std::vector<RunSummary>& summaries, const ReportOptions& options,
               std::string* out) {
  *out += fmt::format("<header><h1>{}</h1>\n<ul class=\"runs\">\n", EscapeMarkup(options.title));
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunSummary& summary = summaries[i];
    *out += fmt::format("<li>{}<strong>{}</strong>: {}, {} {}, {} tokens",
                        RenderSwatch(RunSwatch(runs[i].look, Ink::kCurve), true),
                        EscapeMarkup(runs[i].name), EscapeMarkup(Activations(runs[i])),
                        FormatWhole(summary.steps), summary.steps == 1 ? "step" : "steps",
                        FormatNumber(static_cast<double>(summary.tokens)));
    if (std::isfinite(summary.at_end.as_trained)) {
      *out += "; validation loss " + FormatLoss(summary.at_end.as_trained);
    }
    if (std::isfinite(summary.mean_sparsity)) {
      *out += "; sparsity " + FormatNumber(summary.mean_sparsity, NumberFormat::kPercent);
    }
    if (summary.non_finite_losses > 0) {
      *out += fmt::format(
          "; loss not finite at {} {}, the first step {}", FormatWhole(summary.non_finite_losses),
          summary.non_finite_losses == 1 ? "step" : "steps", FormatWhole(summary.first_non_finite));
    }
    *out += "</li>\n";
  }
  *out += "</ul>\n";
  AddFacts(options.facts, out);
  *out += "</header>\n";
}

void AddLossSection(Runs runs, std::string* out) {
  *out += "<section><h2>Loss</h2>\n<ul class=\"key\">\n";
  for (size_t i = 0; runs.size() > 1 && i < runs.size(); ++i) {
    *out += fmt::format("<li class=\"narrow\">{}{}</li>\n",
                        RenderSwatch(RunSwatch(runs[i].look, Ink::kCurve), true),
                        EscapeMarkup(runs[i].name));
  }
  const auto key = [out](const Series& series, bool marker, std::string_view text) {
    *out += fmt::format("<li>{}{}</li>\n", RenderSwatch(series, marker), text);
  };
  key(RunSwatch(runs[0].look, Ink::kFaint), false, "training, each step");
  key(RunSwatch(runs[0].look, Ink::kCurve), false, "training, mean over 2% of the steps");
  const Chart chart = LossChart(runs, ChartWidth::kWide);
  const auto has = [&chart](Ink ink) {
    return std::ranges::any_of(chart.series, [ink](const Series& s) { return s.ink == ink; });
  };
  if (has(Ink::kFilled)) {
    key(RunSwatch(runs[0].look, Ink::kFilled), true, "validation with the activation of that time");
  }
  if (has(Ink::kHollow)) {
    key(RunSwatch(runs[0].look, Ink::kHollow), true,
        "validation with ReLU, before the switch to it");
  }
  *out += "</ul>\n";
  AddWideFigure(chart, LossChart(runs, ChartWidth::kNarrow), "Loss over steps", out);
  if (const std::optional<Chart> closer = SwitchChart(runs, ChartWidth::kWide)) {
    AddWideFigure(*closer, *SwitchChart(runs, ChartWidth::kNarrow), "Around the switch", out);
  }
  *out += "</section>\n";
}

void AddSparsitySection(Runs runs, std::string* out) {
  std::string figures;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::optional<Chart> chart = SparsityChart(runs, i);
    if (!chart) continue;
    if (runs.size() > 1) figures += fmt::format("<h3>{}</h3>\n", EscapeMarkup(runs[i].name));
    figures += "<div class=\"pair\">\n";
    const bool trials = chart->series.back().ink == Ink::kHollow;
    AddSmallFigure(*chart, "Each layer", trials ? "in training; ○ mean with ReLU" : "in training",
                   &figures);
    BeginFigure("Each layer, as a map", "lighter: more zeros", &figures);
    figures += RenderHeatMap(*SparsityHeatMap(runs, i)) + "</figure>\n</div>\n";
  }
  if (figures.empty()) return;
  *out += fmt::format(
      "<section><h2>Sparsity</h2>\n<p class=\"soft\">The share of hidden activations that are "
      "exactly 0. Generation skips those neurons.</p>\n{}</section>\n",
      figures);
}

void AddTrainingSection(Runs runs, std::string* out) {
  *out += "<section><h2>Training</h2>\n<div class=\"pair\">\n";
  AddSmallFigure(ProbabilityChart(runs), "Probability p", "of SiLU, not 0, for a negative input",
                 out);
  AddSmallFigure(LearningRateChart(runs), "Learning rate", "", out);
  const Chart norm = GradientNormChart(runs);
  AddSmallFigure(norm, "Gradient norm",
                 norm.log_y ? "before clipping, logarithmic" : "before clipping", out);
  AddSmallFigure(ThroughputChart(runs), "Throughput", "tokens a second", out);
  *out += "</div></section>\n";
}

// The table of final figures, a column a run.
class FinalTable {
 public:
  FinalTable(Runs runs, const std::vector<RunSummary>& summaries) : summaries_(summaries) {
    out_ = "<section><h2>Final figures</h2>\n<div class=\"scroll\"><table>\n<thead><tr><td></td>";
    for (const RunMetrics& run : runs) {
      out_ += fmt::format("<th scope=\"col\">{}</th>", EscapeMarkup(run.name));
    }
    out_ += "</tr></thead>\n<tbody>\n";
  }

  template <typename Cell>  // std::string (const RunSummary&)
  void Row(std::string_view name, const Cell& cell) {
    out_ += fmt::format("<tr><th scope=\"row\">{}</th>", name);
    for (const RunSummary& summary : summaries_) {
      out_ += fmt::format("<td>{}</td>", EscapeMarkup(cell(summary)));
    }
    out_ += "</tr>\n";
  }

  std::string Finish() { return out_ + "</tbody></table></div></section>\n"; }

 private:
  const std::vector<RunSummary>& summaries_;
  std::string out_;
};

std::string RenderFinalTable(Runs runs, const std::vector<RunSummary>& summaries) {
  FinalTable table(runs, summaries);
  const auto losses = [&](const char* name, auto loss) {
    const auto has = [&](const RunSummary& s) { return std::isfinite(loss(s)); };
    if (!std::ranges::any_of(summaries, has)) return;
    table.Row(name, [&](const RunSummary& s) { return OrDash(loss(s), FormatLoss(loss(s))); });
  };
  table.Row("Steps", [](const RunSummary& s) { return FormatWhole(s.steps); });
  table.Row("Tokens", [](const RunSummary& s) { return FormatWhole(s.tokens); });
  table.Row("Tokens a second, median", [](const RunSummary& s) {
    return OrDash(s.tokens_per_s,
                  std::isfinite(s.tokens_per_s) ? FormatWhole(std::llround(s.tokens_per_s)) : "");
  });
  table.Row("Training loss, mean of the last 1%", [](const RunSummary& s) {
    const std::string loss = FormatLoss(s.final_train_loss);
    // Steps that learn layer by layer compute none.
    return s.non_finite_losses > 0 ? loss : OrDash(s.final_train_loss, loss);
  });
  if (std::ranges::any_of(summaries,
                          [](const RunSummary& s) { return s.last_switch.has_value(); })) {
    table.Row("Last switch of activation", [](const RunSummary& s) {
      return s.last_switch ? fmt::format("{} → {}, step {}", s.last_switch->from, s.last_switch->to,
                                         FormatWhole(s.last_switch->step))
                           : "–";
    });
  }
  losses("Validation loss before it, as trained",
         [](const RunSummary& s) { return s.before_switch.as_trained; });
  losses("Validation loss before it, with ReLU",
         [](const RunSummary& s) { return s.before_switch.relu_trial; });
  losses("Validation loss at the end", [](const RunSummary& s) { return s.at_end.as_trained; });
  losses("Validation loss at the end, with ReLU",
         [](const RunSummary& s) { return s.at_end.relu_trial; });
  size_t layers = 0;
  for (const RunSummary& summary : summaries) layers = std::max(layers, summary.sparsity.size());
  if (layers > 0) {
    table.Row("Sparsity, mean", [](const RunSummary& s) { return PercentOrDash(s.mean_sparsity); });
    table.Row("Sparsity, measured in", [](const RunSummary& s) {
      return s.sparsity_source.empty() ? "–" : s.sparsity_source;
    });
  }
  for (size_t i = 0; i < layers; ++i) {
    table.Row(fmt::format("Sparsity, layer {}", i), [i](const RunSummary& s) {
      return i < s.sparsity.size() ? PercentOrDash(s.sparsity[i]) : "–";
    });
  }
  return table.Finish();
}

}  // namespace

std::string RenderReport(std::span<const RunMetrics> runs, const ReportOptions& options) {
  if (runs.empty()) throw Error({.where = "report", .what = "no run given"});
  std::vector<RunSummary> summaries;
  for (const RunMetrics& run : runs) {
    CheckRun(run);
    summaries.push_back(Summarize(run));
  }
  std::string out = BeginPage(options.title);
  AddHeader(runs, summaries, options, &out);
  out += "<main>\n";
  AddLossSection(runs, &out);
  AddSparsitySection(runs, &out);
  AddTrainingSection(runs, &out);
  out += RenderFinalTable(runs, summaries);
  if (!options.sample.empty()) {
    out += fmt::format("<section><h2>Generated text</h2>\n<pre>{}</pre></section>\n",
                       EscapeMarkup(options.sample));
  }
  return out + "</main>\n" + EndPage();
}

}  // namespace stocha
