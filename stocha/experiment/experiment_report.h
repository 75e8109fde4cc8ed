// One self-contained HTML page of an experiment, in the style of report/html_report.h: a table of
// its groups, quality against sparsity, loss curves with the switch, sparsity over time and by
// layer, every run.
#ifndef STOCHA_EXPERIMENT_EXPERIMENT_REPORT_H_
#define STOCHA_EXPERIMENT_EXPERIMENT_REPORT_H_

#include <filesystem>
#include <string>
#include <vector>

#include "stocha/experiment/results.h"

namespace stocha {

// Curves are those of runs/NAME/metrics.jsonl, where they are: of each group the first seed with
// the chosen rate. A page of an experiment that has only begun shows what there is.
std::string RenderExperimentReport(const ExperimentResults& results,
                                   const std::vector<GroupResult>& groups,
                                   const std::filesystem::path& runs);

struct PlotFile {
  std::string name;  // "SETTING-validation.svg", or "validation.svg"
  std::string svg;
};

// The page's charts that need no metrics, as files for a page of Markdown: loss over tokens
// (validation), quality against sparsity (frontier), sparsity by layer (layers) at each setting.
std::vector<PlotFile> RenderExperimentPlots(const ExperimentResults& results,
                                            const std::vector<GroupResult>& groups);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_EXPERIMENT_REPORT_H_
