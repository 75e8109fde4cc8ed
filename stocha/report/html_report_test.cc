#include "stocha/report/html_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/report/run_charts.h"
#include "stocha/report/well_formed.h"

namespace stocha {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// `switch_step` < 0: ReLU from the start.
RunMetrics FakeRun(std::string name, int64_t steps, int64_t switch_step, size_t layers) {
  RunMetrics run{.name = std::move(name)};
  for (int64_t step = 0; step < steps; ++step) {
    const bool relu = step >= switch_step;
    run.steps.push_back({.step = step,
                         .loss = 2 + 6 * std::exp(-static_cast<double>(step) / 20),
                         .learning_rate = 1e-3,
                         .gradient_norm = 1.0 + static_cast<double>(step % 7),
                         .activation = relu ? "relu" : "stocha:0.7",
                         .p = relu ? 0 : 0.7,
                         .tokens = 128 * (step + 1),
                         .tokens_per_s = 1000,
                         .sparsity = std::vector<double>(layers, relu ? 0.9 : 0.3)});
  }
  run.validations.push_back({.step = 0, .loss = 8, .activation = run.steps[0].activation});
  run.validations.push_back({.step = 0, .loss = 9, .activation = "relu"});
  run.validations.push_back(
      {.step = steps, .loss = 2.5, .activation = "relu", .sparsity = std::vector(layers, 0.91)});
  return run;
}

std::string Render(std::vector<RunMetrics> runs, const ReportOptions& options = {}) {
  for (size_t i = 0; i < runs.size(); ++i) runs[i].look = i;
  return RenderReport(runs, options);
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(HtmlReportTest, IsWellFormedAndComplete) {
  const std::string page = Render({FakeRun("alpha", 400, 380, 4), FakeRun("beta", 300, -1, 4)});
  EXPECT_EQ(WhatIsMalformed(page), "");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  for (const char* part : {">Loss</h2>", ">Sparsity</h2>", ">Training</h2>", ">Final figures</h2>",
                           "Learning rate", "Gradient norm", "Throughput", "Probability p"}) {
    EXPECT_TRUE(Contains(page, part)) << part;
  }
  EXPECT_FALSE(Contains(page, "Generated text"));
}

// An arm whose neighbours are not there has the colour that it has beside them.
TEST(HtmlReportTest, ARunIsDrawnInItsOwnLook) {
  RunMetrics run = FakeRun("alpha", 400, 380, 4);
  run.look = 3;
  const Chart chart = LossChart(std::span(&run, 1), ChartWidth::kWide);
  ASSERT_FALSE(chart.series.empty());
  for (const Series& series : chart.series) EXPECT_EQ(series.colour, "r3");
  ASSERT_EQ(chart.lines.size(), 1U);
  EXPECT_EQ(chart.lines[0].colour, "r3");
}

TEST(HtmlReportTest, FetchesNothing) {
  const std::string page = Render({FakeRun("alpha", 50, 40, 2)});
  for (const char* part : {"http", "src=", "@import", "url(", "://"}) {
    EXPECT_FALSE(Contains(page, part)) << part;
  }
}

TEST(HtmlReportTest, MarksTheSwitchInEveryChartOverSteps) {
  const std::string page = Render({FakeRun("alpha", 400, 380, 4)});
  EXPECT_EQ(CountOf(page, ">stocha:0.7 → relu</text>"),
            4);  // loss and its close-up, wide and narrow
  EXPECT_TRUE(Contains(page, "Around the switch"));
  EXPECT_FALSE(Contains(Render({FakeRun("alpha", 400, -1, 4)}), "class=\"switch"));
}

TEST(HtmlReportTest, NamesTheRunOfASwitchThatIsNotShared) {
  const RunMetrics a = FakeRun("alpha", 400, 380, 0);
  const RunMetrics b = FakeRun("beta", 400, 300, 0);
  EXPECT_TRUE(Contains(Render({a, b}), ">alpha: stocha:0.7 → relu</text>"));
  EXPECT_FALSE(Contains(Render({a, a}), ">alpha: stocha"));
}

TEST(HtmlReportTest, TellsRunsApart) {
  const std::string page = Render({FakeRun("alpha", 90, -1, 0), FakeRun("beta", 40, -1, 0)});
  EXPECT_TRUE(Contains(page, "class=\"curve r0 d0\""));
  EXPECT_TRUE(Contains(page, "class=\"curve r1 d1\""));
  EXPECT_TRUE(Contains(page, ">alpha</text>"));
  EXPECT_TRUE(Contains(page, ">beta</text>"));
}

TEST(HtmlReportTest, EscapesNamesFactsTitleAndSample) {
  const std::string nasty = "</script><img src=x>&\"'";
  const std::string page =
      Render({FakeRun(nasty, 30, 20, 1)},
             {.title = nasty, .facts = {{nasty, nasty}}, .sample = nasty + "\n\x02\xf0"});
  EXPECT_EQ(WhatIsMalformed(page), "");
  EXPECT_FALSE(Contains(page, "<img"));
  EXPECT_EQ(CountOf(page, "</script>"), 1);
  EXPECT_TRUE(Contains(page, "&lt;/script&gt;&lt;img src=x&gt;&amp;&quot;&#39;\n\uFFFD\uFFFD"));
}

TEST(HtmlReportTest, OneStepWillDo) {
  const std::string page = Render({FakeRun("one", 1, -1, 3)});
  EXPECT_EQ(WhatIsMalformed(page), "");
  EXPECT_TRUE(Contains(page, "relu, 1 step, 128 tokens"));
}

TEST(HtmlReportTest, LongRunsAreThinned) {
  const size_t short_page = Render({FakeRun("run", 3000, 2900, 0)}).size();
  const size_t long_page = Render({FakeRun("run", 200'000, 190'000, 0)}).size();
  EXPECT_LT(long_page, 2 * short_page);
  EXPECT_LT(long_page, 300'000u);
}

TEST(HtmlReportTest, LossesThatAreNotFiniteAreGapsAndAreSaid) {
  RunMetrics run = FakeRun("run", 100, -1, 1);
  run.steps[50].loss = kNaN;
  run.steps[51].loss = std::numeric_limits<double>::infinity();
  run.steps[60].gradient_norm = kNaN;
  const std::string page = Render({run});
  EXPECT_TRUE(Contains(page, "loss not finite at 2 steps, the first step 50"));
  EXPECT_FALSE(Contains(page, "nan"));
  for (StepMetrics& step : run.steps) step.loss = kNaN;
  run.validations.clear();
  EXPECT_TRUE(Contains(Render({run}), "no values to show"));
}

TEST(HtmlReportTest, StepsWithoutALossAreNoFailedOnes) {
  RunMetrics run = FakeRun("layers", 100, -1, 1);
  for (StepMetrics& step : run.steps) {
    step.loss = kNaN;
    step.distillation = 0.1;
  }
  EXPECT_FALSE(Contains(Render({run}), "not finite"));
}

TEST(HtmlReportTest, WithoutSparsityThatSectionIsLeftOut) {
  const std::string page = Render({FakeRun("run", 100, -1, 0)});
  EXPECT_FALSE(Contains(page, ">Sparsity</h2>"));
  EXPECT_FALSE(Contains(page, "Sparsity, mean"));
}

TEST(HtmlReportTest, ShowsFinalFigures) {
  const std::string page = Render({FakeRun("run", 1000, 900, 2)});
  EXPECT_TRUE(Contains(page, "<tr><th scope=\"row\">Steps</th><td>1,000</td></tr>"));
  EXPECT_TRUE(Contains(page, "<td>stocha:0.7 → relu, step 900</td>"));
  EXPECT_TRUE(Contains(page, "Validation loss before it, as trained</th><td>8.000</td>"));
  EXPECT_TRUE(Contains(page, "Validation loss before it, with ReLU</th><td>9.000</td>"));
  EXPECT_TRUE(Contains(page, "Validation loss at the end</th><td>2.500</td>"));
  EXPECT_TRUE(Contains(page, "Sparsity, layer 1</th><td>91.00%</td>"));
}

// The message of the Error that rendering throws.
std::string ErrorOf(const std::vector<RunMetrics>& runs) {
  try {
    Render(runs);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(HtmlReportTest, RefusesRunsWithoutSteps) {
  EXPECT_TRUE(Contains(ErrorOf({}), "no run"));
  EXPECT_TRUE(
      Contains(ErrorOf({FakeRun("good", 5, -1, 0), {.name = "empty"}}), "empty: no training step"));
}

TEST(HtmlReportTest, RefusesStepsOutOfOrderOrRange) {
  RunMetrics run = FakeRun("run", 10, -1, 0);
  run.steps[5].step = 4;
  EXPECT_TRUE(
      Contains(ErrorOf({run}), "run: metrics out of order: got step 4, expected 5 to 2^53"));
  run = FakeRun("run", 10, -1, 0);
  run.steps[9].step = std::numeric_limits<int64_t>::max();
  EXPECT_TRUE(Contains(ErrorOf({run}), "metrics out of order"));
  run = FakeRun("run", 10, -1, 0);
  run.validations[0].step = -1;
  EXPECT_TRUE(Contains(ErrorOf({run}), "metrics out of order"));
}

}  // namespace
}  // namespace stocha
