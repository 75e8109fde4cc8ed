#include "stocha/bench/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace stocha {
namespace {

ModeFigures Figures(FfnMode mode, double tokens_per_s, double bytes) {
  return {.mode = mode,
          .decode_tokens_per_s = {{tokens_per_s, tokens_per_s * 3, tokens_per_s * 2}},
          .prefill_tokens_per_s = {{100, 100, 100}},
          .ffn_us_per_token = {{1e6 / tokens_per_s, 1e6 / tokens_per_s, 1e6 / tokens_per_s}},
          .read_bandwidth = {{10e9, 30e9, 20e9}},
          .bytes_per_token = bytes,
          .ffn_bytes_per_token = bytes / 2,
          .active_fraction = {0.1, 0.2},
          .ffn_fired_per_token = mode == FfnMode::kScreened ? 99.0 : 100.0};
}

BenchReport Report() {
  return {.model = "a-shape",
          .type = "q8_0",
          .random_weights = true,
          .threads = 2,
          .machine = {.cpu = "a CPU", .cores = 2, .isa = "avx2", .features = {"avx2", "fma"}},
          .read_bandwidth = 20e9,
          .bandwidth_buffer_bytes = int64_t{4} << 30,
          .options = {.rounds = 3},
          .modes = {Figures(FfnMode::kDense, 5, 1e9), Figures(FfnMode::kExact, 8, 0.5e9)}};
}

TEST(BenchReportTest, GainIsARatioAndWhatBytesAllow) {
  const BenchReport report = Report();
  EXPECT_FALSE(DecodeGain(report, report.modes[0]));
  const std::optional<Gain> gain = DecodeGain(report, report.modes[1]);
  ASSERT_TRUE(gain);
  EXPECT_DOUBLE_EQ(gain->ratio, 1.6);
  EXPECT_DOUBLE_EQ(gain->ceiling, 2);
  EXPECT_FALSE(gain->cache_effect());
  EXPECT_DOUBLE_EQ(FfnGain(report, report.modes[1])->ratio, 1.6);
  EXPECT_DOUBLE_EQ(ShareOfBandwidth(report.modes[0]), 1e9 * 5 / 10e9);  // in every round
  EXPECT_DOUBLE_EQ(ActiveFraction(report), 0.15);
}

TEST(BenchReportTest, FlagsWhatBytesDoNotExplain) {
  BenchReport report = Report();
  EXPECT_EQ(ReportText(report).find("cache effect"), std::string::npos);
  report.modes[1] = Figures(FfnMode::kExact, 11, 0.5e9);
  EXPECT_TRUE(DecodeGain(report, report.modes[1])->cache_effect());
  EXPECT_NE(ReportText(report).find("2.20 of 2.00 *"), std::string::npos);
  EXPECT_NE(ReportText(report).find("* cache effect"), std::string::npos);
}

TEST(BenchReportTest, TellsWhatScreeningMisses) {
  BenchReport report = Report();
  report.modes.push_back(Figures(FfnMode::kScreened, 9, 0.4e9));
  EXPECT_DOUBLE_EQ(FiringFound(report, report.modes[2]), 0.99);
  EXPECT_DOUBLE_EQ(FiringFound(report, report.modes[1]), 1);
}

TEST(BenchReportTest, CountsFiringNeuronsInTheModelOfTheSparseModes) {
  BenchReport report = Report();  // dense, of another file, fires more
  report.modes[0].ffn_fired_per_token = 110;
  report.modes[0].active_fraction = {0.5, 0.5};
  report.modes.push_back(Figures(FfnMode::kScreened, 9, 0.4e9));
  EXPECT_DOUBLE_EQ(FiringFound(report, report.modes[0]), 1);
  EXPECT_DOUBLE_EQ(FiringFound(report, report.modes[2]), 0.99);
  EXPECT_DOUBLE_EQ(ActiveFraction(report), 0.15);
}

TEST(BenchReportTest, JsonHasNullForModesThatWereNotMeasured) {
  const auto json = nlohmann::json::parse(ReportJson(Report()));
  EXPECT_EQ(json["decode_tokens_per_s"]["dense"], 10);
  EXPECT_EQ(json["decode_tokens_per_s"]["exact"], 16);
  EXPECT_TRUE(json["decode_tokens_per_s"]["screened"].is_null());
  EXPECT_EQ(json["bytes_per_token"]["exact"], 0.5e9);
  EXPECT_EQ(json["read_bandwidth_gb_s"], 20);
  EXPECT_EQ(json["machine"]["isa"], "avx2");
  EXPECT_EQ(json["rounds"]["decode_tokens_per_s"]["dense"]["values"].size(), 3U);
  EXPECT_EQ(json["rounds"]["decode_tokens_per_s"]["dense"]["max"], 15);
  EXPECT_FALSE(json["ffn_gain"]["exact"]["cache_effect"].get<bool>());
  EXPECT_TRUE(json["ffn_gain"]["dense"].is_null());
}

TEST(BenchReportTest, SaysWhereTheBandwidthIsFrom) {
  BenchReport report = Report();
  EXPECT_NE(ReportText(report).find("best of 5 passes over 4.00 GiB\n"), std::string::npos);
  report.bandwidth_buffer_bytes = int64_t{1} << 30;
  EXPECT_NE(ReportText(report).find("1.00 GiB (memory is short"), std::string::npos);
  report.bandwidth_buffer_bytes = 0;
  EXPECT_NE(ReportText(report).find("as given"), std::string::npos);
}

}  // namespace
}  // namespace stocha
