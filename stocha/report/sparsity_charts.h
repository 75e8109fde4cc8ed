// The sparsity of every layer over the steps of a run: as lines, and as a heat map.
#ifndef STOCHA_REPORT_SPARSITY_CHARTS_H_
#define STOCHA_REPORT_SPARSITY_CHARTS_H_

#include <cstddef>
#include <optional>

#include "stocha/report/chart.h"
#include "stocha/report/heat_map.h"
#include "stocha/report/run_charts.h"

namespace stocha {

// Sparsity of run `index`, a line a layer; none when it was never measured. The x axes of all runs
// agree.
std::optional<Chart> SparsityChart(Runs runs, size_t index);
std::optional<HeatMap> SparsityHeatMap(Runs runs, size_t index);

}  // namespace stocha

#endif  // STOCHA_REPORT_SPARSITY_CHARTS_H_
