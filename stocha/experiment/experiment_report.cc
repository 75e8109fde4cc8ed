#include "stocha/experiment/experiment_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <system_error>

#include "stocha/experiment/experiment_charts.h"
#include "stocha/report/markup.h"
#include "stocha/report/page_parts.h"
#include "stocha/report/run_charts.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

// The groups of one setting, and what there is to draw of each.
struct Section {
  std::string setting;
  std::vector<const GroupResult*> groups;
  std::vector<RunMetrics> curves;             // named for their arms
  std::vector<std::vector<double>> sparsity;  // [curves, layers], at the end
};

std::string OrDash(double value, const std::string& text) {
  return std::isfinite(value) ? text : "–";
}

std::string Loss(double value) { return OrDash(value, fmt::format("{:.4f}", value)); }
std::string Percent(double value) { return OrDash(value, fmt::format("{:.1f}%", 100 * value)); }

std::string Rate(double value) {
  return std::isfinite(value) ? FormatNumber(value) : std::string("–");
}

std::vector<Section> Sections(const ExperimentResults& results,
                              const std::vector<GroupResult>& groups, const fs::path& runs) {
  std::vector<Section> sections;
  for (const GroupResult& group : groups) {
    if (sections.empty() || sections.back().setting != group.setting) {
      sections.push_back({.setting = group.setting});
    }
    Section& section = sections.back();
    section.groups.push_back(&group);
    std::error_code error;
    if (group.runs.empty() || !fs::exists(runs / group.runs[0] / "metrics.jsonl", error)) continue;
    RunMetrics metrics = ReadRunMetrics(runs / group.runs[0]);
    if (metrics.steps.empty()) continue;
    metrics.name = group.arm;
    section.curves.push_back(std::move(metrics));
    const auto run = std::ranges::find(results.runs, group.runs[0], &RunResult::run);
    section.sparsity.push_back(run->sparsity_by_layer);
  }
  return sections;
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
    for (const GroupResult* group : section.groups) {
      std::string scan;
      for (size_t i = 0; i < group->scan_losses.size() && group->scan_losses.size() > 1; ++i) {
        if (!std::isfinite(group->scan_losses[i])) continue;
        scan += fmt::format("{}{}: {}", scan.empty() ? "" : ", ", Rate(group->learning_rates[i]),
                            Loss(group->scan_losses[i]));
      }
      table.Row({group->arm, Loss(group->mean_loss), Loss(group->spread),
                 FormatWhole(static_cast<int64_t>(group->losses.size())), Percent(group->sparsity),
                 Rate(group->learning_rate), scan});
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

void AddLegend(const std::vector<GroupResult>& arms, bool markers, std::string* out) {
  *out += "<ul class=\"key\">\n";
  for (size_t i = 0; i < arms.size(); ++i) {
    const Ink ink = markers ? Ink::kFilled : Ink::kCurve;
    *out += fmt::format("<li>{}{}</li>\n", RenderSwatch(RunSwatch(i, ink), markers),
                        EscapeMarkup(arms[i].arm));
  }
  *out += "</ul>\n";
}

void AddSection(const Section& section, const std::vector<RunResult>& all, std::string* out) {
  if (section.curves.empty()) return;
  *out += fmt::format("<section><h2>{}</h2>\n",
                      section.setting.empty() ? "Curves" : EscapeMarkup(section.setting));
  std::vector<GroupResult> arms;
  for (const GroupResult* group : section.groups) {
    if (!group->runs.empty()) arms.push_back(*group);
  }
  AddLegend(arms, true, out);
  *out += "<div class=\"pair\">\n";
  AddSmallFigure(FrontierChart(arms, all), "Quality against sparsity",
                 "validation loss, nats a token; a point a seed", out);
  AddSmallFigure(LayerSparsityChart(section.curves, section.sparsity), "Sparsity by layer",
                 "at the end, in validation", out);
  *out += "</div>\n";
  AddLegend(arms, false, out);
  AddWideFigure(LossChart(section.curves, ChartWidth::kWide),
                LossChart(section.curves, ChartWidth::kNarrow), "Loss over steps, first seed", out);
  if (const std::optional<Chart> closer = SwitchChart(section.curves, ChartWidth::kWide)) {
    AddWideFigure(*closer, *SwitchChart(section.curves, ChartWidth::kNarrow), "Around the switch",
                  out);
  }
  AddSmallFigure(MeanSparsityChart(section.curves), "Sparsity over steps",
                 "in training, mean of layers", out);
  *out += "</section>\n";
}

std::string Fact(const nlohmann::ordered_json& facts, const char* key) {
  return facts.contains(key) && facts[key].is_string() ? facts[key].get<std::string>() : "";
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
  if (results.facts.contains("machine")) add("Machine", Fact(results.facts["machine"], "cpu"));
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
  const std::vector<Section> sections = Sections(results, groups, runs);
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
  for (const Section& section : sections) AddSection(section, results.runs, &out);
  out += RunTable(results);
  return out + "</main>\n" + EndPage();
}

}  // namespace stocha
