#include "stocha/experiment/experiment_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <system_error>

#include "stocha/experiment/experiment_charts.h"
#include "stocha/report/markup.h"
#include "stocha/report/page_parts.h"
#include "stocha/report/run_charts.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

// The groups of one setting.
struct Section {
  std::string setting;
  std::vector<GroupResult> groups;
  std::vector<GroupResult> arms;  // those of them that have runs
};

std::string OrDash(double value, const std::string& text) {
  return std::isfinite(value) ? text : "–";
}

std::string Loss(double value) { return OrDash(value, fmt::format("{:.4f}", value)); }
std::string Percent(double value) { return OrDash(value, fmt::format("{:.1f}%", 100 * value)); }

std::string Rate(double value) {
  return std::isfinite(value) ? FormatNumber(value) : std::string("–");
}

std::vector<Section> Sections(const std::vector<GroupResult>& groups) {
  std::vector<Section> sections;
  for (const GroupResult& group : groups) {
    if (sections.empty() || sections.back().setting != group.setting) {
      sections.push_back({.setting = group.setting});
    }
    sections.back().groups.push_back(group);
    if (!group.runs.empty()) sections.back().arms.push_back(group);
  }
  return sections;
}

// Of the arms whose metrics are there, named for them.
std::vector<RunMetrics> CurvesOf(const Section& section, const fs::path& runs) {
  std::vector<RunMetrics> curves;
  for (size_t i = 0; i < section.arms.size(); ++i) {
    const GroupResult& arm = section.arms[i];
    std::error_code error;
    if (!fs::exists(runs / arm.runs[0] / "metrics.jsonl", error)) continue;
    RunMetrics metrics = ReadRunMetrics(runs / arm.runs[0]);
    if (metrics.steps.empty()) continue;
    metrics.name = arm.arm;
    metrics.look = i;
    curves.push_back(std::move(metrics));
  }
  return curves;
}

class Table {
 public:
  Table(std::string_view title, std::initializer_list<std::string_view> columns) {
    out_ = fmt::format("<section><h2>{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>", title);
    for (const std::string_view column : columns) {
      out_ += fmt::format("<th scope=\"col\">{}</th>", column);
    }
    out_ += "</tr></thead>\n<tbody>\n";
    columns_ = columns.size();
  }
  void Group(const std::string& name) {
    if (name.empty()) return;
    out_ += fmt::format("<tr class=\"group\"><th scope=\"row\" colspan=\"{}\">{}</th></tr>\n",
                        columns_, EscapeMarkup(name));
  }
  void Row(const std::vector<std::string>& cells) {
    out_ += fmt::format("<tr><th scope=\"row\">{}</th>", EscapeMarkup(cells[0]));
    for (size_t i = 1; i < cells.size(); ++i) {
      out_ += fmt::format("<td>{}</td>", EscapeMarkup(cells[i]));
    }
    out_ += "</tr>\n";
  }
  std::string Finish() { return out_ + "</tbody></table></div></section>\n"; }

 private:
  std::string out_;
  size_t columns_ = 0;
};

std::string GroupTable(const std::vector<Section>& sections) {
  Table table("Arms", {"Arm", "Validation loss", "Spread of seeds", "Seeds", "Sparsity",
                       "Learning rate", "Losses of the rates tried"});
  for (const Section& section : sections) {
    table.Group(section.setting);
    for (const GroupResult& group : section.groups) {
      std::string scan;
      for (size_t i = 0; i < group.scan_losses.size() && group.scan_losses.size() > 1; ++i) {
        if (!std::isfinite(group.scan_losses[i])) continue;
        scan += fmt::format("{}{}: {}", scan.empty() ? "" : ", ", Rate(group.learning_rates[i]),
                            Loss(group.scan_losses[i]));
      }
      table.Row({group.arm, Loss(group.mean_loss), Loss(group.spread),
                 FormatWhole(static_cast<int64_t>(group.losses.size())), Percent(group.sparsity),
                 Rate(group.learning_rate), scan});
    }
  }
  return table.Finish();
}

std::string_view StatusName(RunStatus status) {
  switch (status) {
    case RunStatus::kRunning:
      return "running";
    case RunStatus::kStopped:
      return "stopped";
    case RunStatus::kFailed:
      return "failed";
    case RunStatus::kFinished:
      return "finished";
  }
  return "";
}

std::string RunTable(const ExperimentResults& results) {
  Table table("Every run that was started",
              {"Run", "Status", "Parameters", "Tokens", "Validation loss", "Before switch",
               "After switch", "Sparsity", "Minutes"});
  for (const RunResult& run : results.runs) {
    table.Row({run.run, run.error.empty() ? std::string(StatusName(run.status)) : run.error,
               FormatWhole(run.params), FormatWhole(run.tokens), Loss(run.val_loss),
               Loss(run.val_loss_before_switch), Loss(run.val_loss_at_switch),
               Percent(run.sparsity), fmt::format("{:.1f}", run.seconds / 60)});
  }
  return table.Finish();
}

// False of runs that an older version wrote down, without what the chart shows.
bool ShowsSomething(const Chart& chart) {
  return std::ranges::any_of(chart.series, [](const Series& s) { return !s.points.empty(); });
}

// Of runs whose metrics are there. On a phone, charts have no names beside their curves.
void AddCurves(Runs curves, std::string* out) {
  *out += "<ul class=\"key\">\n";
  for (const RunMetrics& curve : curves) {
    *out += fmt::format("<li>{}{}</li>\n", RenderSwatch(RunSwatch(curve.look, Ink::kCurve), false),
                        EscapeMarkup(curve.name));
  }
  *out += "</ul>\n";
  AddWideFigure(LossChart(curves, ChartWidth::kWide), LossChart(curves, ChartWidth::kNarrow),
                "Loss over steps, first seed", out);
  if (const std::optional<Chart> closer = SwitchChart(curves, ChartWidth::kWide)) {
    AddWideFigure(*closer, *SwitchChart(curves, ChartWidth::kNarrow), "Around the switch", out);
  }
  AddSmallFigure(MeanSparsityChart(curves), "Sparsity over steps", "in training, mean of layers",
                 out);
}

void AddSection(const Section& section, const std::vector<RunResult>& all, const fs::path& runs,
                std::string* out) {
  if (section.arms.empty()) return;
  *out += fmt::format("<section><h2>{}</h2>\n",
                      section.setting.empty() ? "Curves" : EscapeMarkup(section.setting));
  *out += "<div class=\"pair\">\n";
  AddSmallFigure(FrontierChart(section.arms, all), "Quality against sparsity",
                 "validation loss, nats a token; a point a seed", out);
  AddSmallFigure(LayerSparsityChart(section.arms, all), "Sparsity by layer",
                 "at the end, in validation, first seed", out);
  *out += "</div>\n";
  if (const Chart chart = ValidationChart(section.arms, all); ShowsSomething(chart)) {
    AddSmallFigure(chart, "Validation loss over tokens",
                   "nats a token, first seed, with the activation of that time", out);
  }
  const std::vector<RunMetrics> curves = CurvesOf(section, runs);
  if (!curves.empty()) AddCurves(curves, out);
  *out += "</section>\n";
}

std::string Fact(const nlohmann::ordered_json& facts, const char* key) {
  return facts.contains(key) && facts[key].is_string() ? facts[key].get<std::string>() : "";
}

// Those of the runs, each once.
std::string MachinesOf(const ExperimentResults& results) {
  std::set<std::string> machines;
  for (const RunResult& run : results.runs) machines.insert(run.machine);
  machines.erase("");
  if (!machines.empty()) return fmt::format("{}", fmt::join(machines, ", "));
  return results.facts.contains("machine") ? Fact(results.facts["machine"], "cpu") : "";
}

Facts FactsOf(const ExperimentResults& results) {
  Facts facts;
  const auto add = [&facts](const char* name, const std::string& value) {
    if (!value.empty()) facts.emplace_back(name, value);
  };
  const auto of_status = [&results](RunStatus status) {
    return std::ranges::count(results.runs, status, &RunResult::status);
  };
  double seconds = 0;
  for (const RunResult& run : results.runs) seconds += run.seconds;
  add("Machine", MachinesOf(results));
  add("Recipe", Fact(results.facts, "recipe"));
  add("Commit", Fact(results.facts, "commit").substr(0, 12));
  add("Runs finished", FormatWhole(of_status(RunStatus::kFinished)));
  add("Runs failed", FormatWhole(of_status(RunStatus::kFailed)));
  add("Hours of training", fmt::format("{:.2f}", seconds / 3600));
  return facts;
}

}  // namespace

std::string RenderExperimentReport(const ExperimentResults& results,
                                   const std::vector<GroupResult>& groups, const fs::path& runs) {
  const std::vector<Section> sections = Sections(groups);
  const std::string recipe = Fact(results.facts, "recipe");
  const std::string title =
      "Experiment" + (recipe.empty() ? "" : ": " + fs::path(recipe).stem().string());
  std::string out = BeginPage(title);
  out += fmt::format(
      "<header><h1>{}</h1>\n<p class=\"soft\">Losses are those of the activation that the model is "
      "used with; sparsity is the share of hidden activations that are exactly 0.</p>\n",
      EscapeMarkup(title));
  AddFacts(FactsOf(results), &out);
  out += "</header>\n<main>\n" + GroupTable(sections);
  for (const Section& section : sections) AddSection(section, results.runs, runs, &out);
  out += RunTable(results);
  return out + "</main>\n" + EndPage();
}

std::vector<PlotFile> RenderExperimentPlots(const ExperimentResults& results,
                                            const std::vector<GroupResult>& groups) {
  std::vector<PlotFile> files;
  for (const Section& section : Sections(groups)) {
    if (section.arms.empty()) continue;
    const auto add = [&](const char* name, const Chart& chart) {
      if (!ShowsSomething(chart)) return;
      const std::string prefix = section.setting.empty() ? "" : section.setting + "-";
      files.push_back({.name = prefix + name + ".svg", .svg = RenderChartFile(chart)});
    };
    add("validation", ValidationChart(section.arms, results.runs));
    add("frontier", FrontierChart(section.arms, results.runs));
    add("layers", LayerSparsityChart(section.arms, results.runs));
  }
  return files;
}

}  // namespace stocha
