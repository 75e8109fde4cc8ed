// The end of a file that another process appends to.
#ifndef STOCHA_EXPERIMENT_LAST_LINES_H_
#define STOCHA_EXPERIMENT_LAST_LINES_H_

#include <filesystem>
#include <optional>
#include <string>

#include "stocha/report/metrics.h"

namespace stocha {

// The last line that is not empty; "" without one.
std::string LastLine(const std::filesystem::path& file);

// The last whole step in the last few KB of a metrics.jsonl; step and losses alone are filled in.
std::optional<StepMetrics> LastStep(const std::filesystem::path& metrics);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_LAST_LINES_H_
