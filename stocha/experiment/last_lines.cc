#include "stocha/experiment/last_lines.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <ranges>
#include <string_view>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

constexpr std::streamoff kTailBytes = 16384;

// The whole lines at the end; the first may lack its beginning.
std::vector<std::string> Tail(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  std::vector<std::string> lines;
  if (!file || size <= 0) return lines;
  file.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  for (std::string line; std::getline(file, line);) {
    if (!file.eof()) lines.push_back(line);
  }
  return lines;
}

std::optional<StepMetrics> ParseStep(const std::string& line) {
  try {
    const Json json = ParseJson(line, "metrics");
    const JsonObject object(json, "metrics");
    if (object.String("type") != "step") return std::nullopt;
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    const auto number = [&](std::string_view key) {
      return object.Has(key) && !json[key].is_null() ? object.Number(key) : kNone;
    };
    return StepMetrics{.step = object.Integer("step", 0),
                       .loss = number("loss"),
                       .distillation = number("distillation")};
  } catch (const Error&) {
    return std::nullopt;  // the line whose beginning is cut off
  }
}

}  // namespace

std::string LastLine(const std::filesystem::path& file) {
  for (const std::string& line : Tail(file) | std::views::reverse) {
    if (!line.empty()) return Printable(line, 500);
  }
  return "";
}

std::optional<StepMetrics> LastStep(const std::filesystem::path& metrics) {
  for (const std::string& line : Tail(metrics) | std::views::reverse) {
    if (std::optional<StepMetrics> step = ParseStep(line)) return step;
  }
  return std::nullopt;
}

}  // namespace stocha
