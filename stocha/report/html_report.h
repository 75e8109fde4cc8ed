// One self-contained HTML page of one or more runs: loss curves with every switch of activation
// marked, sparsity per layer over time, a table of final figures. Inline SVG, no script from
// elsewhere, no network; readable in print and by the colour-blind, in light and dark, on a phone.
// It is well-formed XML as well.
#ifndef STOCHA_REPORT_HTML_REPORT_H_
#define STOCHA_REPORT_HTML_REPORT_H_

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "stocha/report/metrics.h"

namespace stocha {

struct ReportOptions {
  std::string title = "stocha training report";
  // Extra facts for the table at the top, e.g. {"decode, sparse", "812 tok/s"}.
  std::vector<std::pair<std::string, std::string>> facts;
  std::string sample;  // generated text to show; may be empty
};

// The page. Throws Error when there is no run, or when a run has no training step or its steps do
// not rise.
std::string RenderReport(std::span<const RunMetrics> runs, const ReportOptions& options);

}  // namespace stocha

#endif  // STOCHA_REPORT_HTML_REPORT_H_
