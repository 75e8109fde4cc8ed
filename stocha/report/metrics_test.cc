#include "stocha/report/metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    run_ = fs::path(::testing::TempDir()) /
           ("metrics-" + std::to_string(getpid()) + "-" + test->name());
    fs::create_directories(run_);
  }
  void TearDown() override { fs::remove_all(run_); }

  fs::path file() const { return run_ / "metrics.jsonl"; }

  std::string ErrorOf(const std::string& content) {
    WriteFile(file(), content);
    try {
      ReadRunMetrics(run_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path run_;
};

StepMetrics Step(int64_t step) {
  return {.step = step,
          .loss = 2.5,
          .learning_rate = 0.001,
          .gradient_norm = 1.5,
          .activation = "stocha:0.7",
          .p = 0.7,
          .tokens = 4096 * (step + 1),
          .tokens_per_s = 1e5,
          .sparsity = {0.5, 0.25}};
}

ValidationMetrics Validation(int64_t step) {
  return {.step = step, .loss = 2.25, .activation = "relu", .sparsity = {0.75}};
}

std::string Lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(Metrics, LinesAreAsDescribed) {
  EXPECT_EQ(ToJsonLine(Step(12)),
            R"({"type":"step","step":12,"loss":2.5,"lr":0.001,"grad_norm":1.5,)"
            R"("activation":"stocha:0.7","p":0.7,"tokens":53248,"tokens_per_s":100000.0,)"
            R"("sparsity":[0.5,0.25]})");
  EXPECT_EQ(ToJsonLine(Validation(13)),
            R"({"type":"validation","step":13,"loss":2.25,"activation":"relu","sparsity":[0.75]})");
}

TEST_F(MetricsTest, ReadsBackToTheLastDigit) {
  StepMetrics step = Step(3);
  step.loss = 0.1 + 0.2;
  step.gradient_norm = std::numeric_limits<double>::infinity();
  WriteFile(file(), Lines({ToJsonLine(step), ToJsonLine(Validation(4))}));
  const RunMetrics run = ReadRunMetrics(run_ / "");
  EXPECT_EQ(run.name, run_.filename());
  ASSERT_EQ(run.steps.size(), 1u);
  EXPECT_EQ(run.steps[0].step, 3);
  EXPECT_EQ(run.steps[0].loss, 0.1 + 0.2);
  EXPECT_EQ(run.steps[0].learning_rate, 0.001);
  EXPECT_TRUE(std::isnan(run.steps[0].gradient_norm));
  EXPECT_EQ(run.steps[0].activation, "stocha:0.7");
  EXPECT_EQ(run.steps[0].p, 0.7);
  EXPECT_EQ(run.steps[0].tokens, 4096 * 4);
  EXPECT_EQ(run.steps[0].tokens_per_s, 1e5);
  EXPECT_EQ(run.steps[0].sparsity, (std::vector<double>{0.5, 0.25}));
  ASSERT_EQ(run.validations.size(), 1u);
  EXPECT_EQ(run.validations[0].step, 4);
  EXPECT_EQ(run.validations[0].loss, 2.25);
  EXPECT_EQ(run.validations[0].activation, "relu");
  EXPECT_EQ(run.validations[0].sparsity, std::vector<double>{0.75});
}

TEST_F(MetricsTest, IgnoresALineCutOffAtTheEnd) {
  const std::string first = ToJsonLine(Step(0)) + "\n";
  const std::string second = ToJsonLine(Step(1));
  for (const size_t length : {size_t{0}, size_t{1}, second.size() / 2, second.size()}) {
    WriteFile(file(), first + second.substr(0, length));
    EXPECT_EQ(ReadRunMetrics(run_).steps.size(), 1u) << length;
  }
}

TEST_F(MetricsTest, NamesABrokenLine) {
  const std::string good = ToJsonLine(Step(0));
  const std::pair<std::string, std::string> kCases[] = {
      {Lines({good, good.substr(1), good}), "metrics.jsonl:2: broken JSON"},
      {Lines({good, ""}), "metrics.jsonl:2: broken JSON"},
      {Lines({"[]"}), "metrics.jsonl:1: unexpected content"},
      {Lines({"{}"}), "key \"type\": got nothing"},
      {Lines({R"({"type":"epoch","step":1})"}), "got \"epoch\", expected \"step\" or"},
      {Lines({R"({"type":"step","step":1})"}), "key \"loss\": got nothing, expected a number"},
      {Lines({R"({"type":"validation","step":-1,"loss":1,"activation":"relu","sparsity":[]})"}),
       "key \"step\": got -1"},
      {Lines({R"({"type":"validation","step":1,"loss":1,"activation":"relu","sparsity":["a"]})"}),
       "expected an array of numbers"},
  };
  for (const auto& [content, message] : kCases) {
    const std::string error = ErrorOf(content);
    EXPECT_NE(error.find(message), std::string::npos) << error;
  }
  fs::remove(file());
  EXPECT_THROW(ReadRunMetrics(run_), Error);
}

TEST_F(MetricsTest, TruncateDropsWhatAResumedRunWritesAgain) {
  std::vector<std::string> lines;
  for (int64_t step = 0; step < 4; ++step) {
    lines.push_back(ToJsonLine(Step(step)));
    lines.push_back(ToJsonLine(Validation(step + 1)));
  }
  const std::string all = Lines(lines);
  WriteFile(file(), all + "{\"type\":\"st");
  TruncateMetrics(file(), 2);  // steps 0 and 1 are done, and the validation after them
  EXPECT_EQ(ReadFile(file()), Lines({lines.begin(), lines.begin() + 4}));
  TruncateMetrics(file(), 2);
  EXPECT_EQ(ReadFile(file()), Lines({lines.begin(), lines.begin() + 4}));
  TruncateMetrics(file(), 0);
  EXPECT_EQ(ReadFile(file()), "");
  fs::remove(file());
  TruncateMetrics(file(), 2);
  EXPECT_FALSE(fs::exists(file()));
}

}  // namespace
}  // namespace stocha
