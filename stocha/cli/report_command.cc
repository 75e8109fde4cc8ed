// stocha report: one HTML page of one or more training runs.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/cli/command.h"
#include "stocha/report/html_report.h"
#include "stocha/report/metrics.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxSampleBytes = uint64_t{1} << 20;

struct ReportFlags {
  std::vector<std::string> runs;
  std::string output = "report.html";
  std::string title = ReportOptions{}.title;
  std::vector<std::string> facts;
  std::string sample;
};

std::pair<std::string, std::string> ParseFact(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw UsageError({.where = "--fact", .got = text, .expected = "\"name=value\""});
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<RunMetrics> ReadRuns(const std::vector<std::string>& paths) {
  std::vector<RunMetrics> runs;
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    runs.push_back(ReadRunMetrics(path));
    names.push_back(fs::canonical(path).filename().string());  // "runs/relu/." too is "relu"
  }
  // Folders of one name are told apart by the path as given.
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].name = std::ranges::count(names, names[i]) > 1 ? paths[i] : names[i];
    runs[i].look = i;
  }
  return runs;
}

void WriteReport(const ReportFlags& flags) {
  ReportOptions options{.title = flags.title};
  for (const std::string& fact : flags.facts) options.facts.push_back(ParseFact(fact));
  if (!flags.sample.empty()) options.sample = ReadFile(flags.sample, kMaxSampleBytes);
  WriteFile(flags.output, RenderReport(ReadRuns(flags.runs), options));
  fmt::print("wrote {}\n", flags.output);
}

}  // namespace

void AddReportCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* sub = app.add_subcommand("report", "Draw training runs as one HTML page");
  sub->add_option("runs", flags->runs, "Folders of runs, each with a metrics.jsonl")
      ->required()
      ->type_name("RUN");
  sub->add_option("--output", flags->output, "The page to write")
      ->type_name("FILE")
      ->capture_default_str();
  sub->add_option("--title", flags->title, "Heading of the page")
      ->type_name("TEXT")
      ->capture_default_str();
  sub->add_option("--fact", flags->facts, "A fact to show at the top; may be given many times")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sub->add_option("--sample", flags->sample, "A file of generated text to show")->type_name("FILE");
  sub->footer(
      "Example:\n  stocha report runs/relu runs/stocha --output report.html \\\n"
      "    --fact \"decode, sparse=812 tok/s\"");
  sub->callback([flags, &run] { run = [flags] { WriteReport(*flags); }; });
}

}  // namespace stocha
