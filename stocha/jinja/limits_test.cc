// Templates that would not end, or would take all memory or all of the stack.
#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"
#include "stocha/jinja/template.h"

namespace stocha::jinja {
namespace {

std::string ErrorOf(const std::string& text, const Limits& limits = {}) {
  try {
    Template::Parse(text, "t").Render(nlohmann::ordered_json::object(), 0, limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string Repeat(const std::string& text, int count) {
  std::string repeated;
  for (int i = 0; i < count; ++i) repeated += text;
  return repeated;
}

constexpr int kMany = 50'000;

TEST(LimitsTest, DepthOfTheTextIsBounded) {
  const auto too_deep = [](const std::string& before, const std::string& after) {
    const std::string text = "{{ " + Repeat(before, kMany) + "1" + Repeat(after, kMany) + " }}";
    return ErrorOf(text).find("nested too deeply") != std::string::npos;
  };
  EXPECT_TRUE(too_deep("(", ")"));
  EXPECT_TRUE(too_deep("[", "]"));
  EXPECT_TRUE(too_deep("{'a':", "}"));
  EXPECT_TRUE(too_deep("not ", ""));
  EXPECT_TRUE(too_deep("- ", ""));
  EXPECT_TRUE(too_deep("f(", ")"));
  EXPECT_TRUE(too_deep("a if b else ", ""));
  EXPECT_TRUE(too_deep("a is b(", ")"));
  const std::string deep = "nested too deeply";
  EXPECT_NE(ErrorOf(Repeat("{% if 1 %}", kMany)).find(deep), std::string::npos);
  EXPECT_NE(ErrorOf(Repeat("{% generation %}", kMany)).find(deep), std::string::npos);
}

TEST(LimitsTest, LengthOfAnExpressionIsBounded) {
  const std::string long_one = "an expression too long";
  EXPECT_NE(ErrorOf("{{ 1" + Repeat(" + 1", kMany) + " }}").find(long_one), std::string::npos);
  EXPECT_NE(ErrorOf("{{ a" + Repeat(".a", kMany) + " }}").find(long_one), std::string::npos);
  EXPECT_NE(ErrorOf("{{ a" + Repeat("|trim", kMany) + " }}").find(long_one), std::string::npos);
  EXPECT_NE(ErrorOf("{{ a" + Repeat("[0]", kMany) + " }}").find(long_one), std::string::npos);
  EXPECT_NE(ErrorOf("{{ a" + Repeat(" if a", kMany) + " }}").find(long_one), std::string::npos);
}

TEST(LimitsTest, DepthOfValuesIsBounded) {
  const std::string deep = "nested too deeply";
  EXPECT_NE(ErrorOf("{% set ns = namespace(x=[]) %}{% for i in range(100000) %}"
                    "{% set ns.x = [ns.x] %}{% endfor %}")
                .find(deep),
            std::string::npos);
  EXPECT_NE(ErrorOf("{% set ns = namespace(x={}) %}{% for i in range(100000) %}"
                    "{% set ns.x = {'a': ns.x} %}{% endfor %}")
                .find(deep),
            std::string::npos);
}

TEST(LimitsTest, NoValueHoldsItself) {
  EXPECT_NE(ErrorOf("{% set ns = namespace() %}{% set ns.a = ns %}"), "no error");
  EXPECT_NE(ErrorOf("{% set ns = namespace() %}{% set x = [ns] %}"), "no error");
  EXPECT_NE(ErrorOf("{% for x in [1] %}{% set y = {'a': loop} %}{% endfor %}"), "no error");
}

TEST(LimitsTest, StepsAreBounded) {
  EXPECT_NE(ErrorOf("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}"
                    "{% endfor %}")
                .find("too many steps"),
            std::string::npos);
  EXPECT_NE(ErrorOf("{% set ns = namespace(x=[1]) %}{% for a in range(100) %}"
                    "{% set ns.x = ns.x + ns.x %}{% endfor %}")
                .find("too many steps"),
            std::string::npos);
  EXPECT_NE(ErrorOf("{{ range(1000000) }}").find("range"), std::string::npos);
}

TEST(LimitsTest, TextIsBounded) {
  EXPECT_NE(ErrorOf("{{ 'a' * 9223372036854775807 }}").find("too much text"), std::string::npos);
  EXPECT_NE(ErrorOf("{% set ns = namespace(x='ab') %}{% for a in range(100) %}"
                    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}")
                .find("too much text"),
            std::string::npos);
  EXPECT_NE(ErrorOf("{% set ns = namespace(x='ab') %}{% for a in range(100) %}"
                    "{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}")
                .find("too much text"),
            std::string::npos);
  EXPECT_NE(ErrorOf("{% for a in range(99999) %}" + std::string(9000, 'x') + "{% endfor %}")
                .find("too much text"),
            std::string::npos);
}

TEST(LimitsTest, WhatTheCallerAllowsCounts) {
  EXPECT_EQ(ErrorOf("{{ 'abc' }}", {.steps = 2, .bytes = 3}), "no error");
  EXPECT_NE(ErrorOf("{{ 'abc' }}", {.steps = 1, .bytes = 3}), "no error");
  EXPECT_NE(ErrorOf("{{ 'abc' }}", {.steps = 2, .bytes = 2}), "no error");
}

}  // namespace
}  // namespace stocha::jinja
