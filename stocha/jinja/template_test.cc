// What is expected here is what Jinja 3.1.6 gives with the settings of transformers.
#include "stocha/jinja/template.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"

namespace stocha::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::string Render(std::string_view text, const Json& variables = Json::object()) {
  return Template::Parse(text, "t").Render(variables, /*now=*/0);
}

std::string ErrorOf(std::string_view text, const Json& variables = Json::object()) {
  try {
    Render(text, variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TemplateTest, PrintsValues) {
  EXPECT_EQ(Render("a{{ 'b' }}{{ 1 }}{{ 2.50 }}{{ true }}{{ none }}{{ nothing }}c"),
            "ab12.5TrueNonec");
  EXPECT_EQ(Render("{{ 1e16 }} {{ 0.0001 }} {{ 1e-5 }} {{ 3.0 }}"), "1e+16 0.0001 1e-05 3.0");
}

TEST(TemplateTest, ResolvesEscapesInStrings) {
  EXPECT_EQ(Render(R"({{ 'a\n\'\x41\u00e9\q\\' "b" }})"), "a\n'A\u00e9\\q\\b");
}

TEST(TemplateTest, TakesBlanksAwayAsTransformersSetsIt) {
  // trim_blocks: a newline after a block and a comment, not after a variable.
  EXPECT_EQ(Render("{% if 1 %}\nx\n{% endif %}\ny{# c #}\nz{{ 1 }}\n!"), "x\nyz1\n!");
  // lstrip_blocks: blanks before a block at the start of a line, not before a variable.
  EXPECT_EQ(Render("  {% if 1 %}a{% endif %}\n  {{ 1 }} {% if 1 %}b{% endif %}"), "a  1 b");
  EXPECT_EQ(Render("a \n {%- if 1 -%} \n b \n {%- endif -%} \n c"), "abc");
  EXPECT_EQ(Render("a {{- 1 -}} \n b {#- x -#} c"), "a1bc");
  EXPECT_EQ(Render("a\n  {%+ if 1 %}b{% endif +%}\nc"), "a\n  b\nc");
  EXPECT_EQ(Render("a\r\nb\n\n"), "a\nb\n");
}

TEST(TemplateTest, Computes) {
  EXPECT_EQ(Render("{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}"),
            "3 3 -4 2 3.5");
  EXPECT_EQ(Render("{{ 'a' ~ 1 + 2 ~ 'b' if false else 'x' * 3 }}"), "xxx");
  EXPECT_EQ(Render("{{ 'a' + 'b' ~ 1 }} {{ ([1] + [2]) | length }}"), "ab1 2");
  EXPECT_EQ(
      Render("{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ 1 == true }} {{ 1 == '1' }}"),
      "True False True True False");
  EXPECT_EQ(Render("{{ 'b' in 'abc' }} {{ 'x' not in ['x'] }} {{ 'k' in {'k': 1} }} {{ 1 in u }}"),
            "True False True False");
  EXPECT_EQ(Render("{{ '' or 'x' }}{{ 'a' and 'b' }}{{ not 0 }}"), "xbTrue");
}

TEST(TemplateTest, FiltersBindTighterThanOperators) {
  EXPECT_EQ(Render("{{ ' a ' + ' b ' | trim + ' c' }}"), " a b c");
  EXPECT_EQ(Render("{{ not m | length == 1 }}", {{"m", {1, 2}}}), "True");
  EXPECT_EQ(Render("{{ not x is defined }}{{ x is not defined }}"), "TrueTrue");
}

TEST(TemplateTest, FindsItemsAndAttributes) {
  const Json variables = {{"m", {{{"role", "user"}, {"n", 5}}, {{"role", "bot"}}}}};
  EXPECT_EQ(
      Render("{{ m[0].role }} {{ m[-1]['role'] }} {{ m[7] }} {{ m[0].none_such }}", variables),
      "user bot  ");
  EXPECT_EQ(Render("{% for x in m[::-1] %}{{ x.role }}{% endfor %}{{ m[1:] | length }}", variables),
            "botuser1");
  EXPECT_EQ(Render("{{ 'a\u00e9\u4e2d'[1:] }}{{ 'a\u00e9\u4e2d'[-1] }}{{ 'abc'[::-1] }}"),
            "\u00e9\u4e2d\u4e2dcba");
  EXPECT_EQ(ErrorOf("{{ m.role.x }}"), "t:1: \"m\" is undefined");
}

TEST(TemplateTest, Loops) {
  EXPECT_EQ(Render("{% for x in 'abc' %}{{ loop.index0 }}{{ x }}{{ ',' if not loop.last }}"
                   "{% endfor %}"),
            "0a,1b,2c");
  EXPECT_EQ(Render("{% for x in [] %}a{% else %}b{% endfor %}"), "b");
  EXPECT_EQ(Render("{% for x in [1, 2, 3, 4] if x is even %}{{ loop.length }}{{ x }}{% endfor %}"),
            "2224");
  EXPECT_EQ(Render("{% for k, v in d | items %}{{ k }}={{ v }};{% endfor %}"
                   "{% for k, v in d.items() %}{{ k }}{% endfor %}",
                   {{"d", {{"z", 1}, {"a", 2}}}}),
            "z=1;a=2;za");
  EXPECT_EQ(Render("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}"
                   "{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}"),
            "023");
  EXPECT_EQ(Render("{% for a in [1, 2] %}{% for b in [1] %}{{ loop.depth }}{% endfor %}"
                   "{{ loop.revindex }}{% endfor %}"),
            "2221");
  EXPECT_EQ(Render("{% for a in [1, 2] %}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}"),
            "21");
}

TEST(TemplateTest, SetInALoopIsGoneInTheNextTurn) {
  EXPECT_EQ(Render("{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 2 %}{{ x }}{% endfor %}"
                   "{{ x }}"),
            "12121");
  EXPECT_EQ(Render("{% if 1 %}{% set x = 3 %}{% endif %}{{ x }}"), "3");
  EXPECT_EQ(Render("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}"
                   "{% endfor %}{{ ns.n }}"),
            "3");
  EXPECT_EQ(Render("{% set a, b = 1, 'x' %}{{ b }}{{ a }}"), "x1");
  EXPECT_EQ(Render("{% set m = m[1:] %}{{ m[0] }}", {{"m", {1, 2}}}), "2");
}

TEST(TemplateTest, Filters) {
  EXPECT_EQ(Render("{{ u | default('d') }}{{ '' | d('e', true) }}{{ [1, 2] | join('-') }}"),
            "de1-2");
  EXPECT_EQ(
      Render("{{ 'aXb' | replace('X', '--') | upper }}{{ [3, 4] | first }}{{ [3, 4] | last }}"),
      "A--B34");
  const Json messages = {{"m", {{{"role", "user"}, {"c", "1"}}, {{"role", "system"}, {"c", "2"}}}}};
  EXPECT_EQ(Render("{{ m | selectattr('role', 'equalto', 'user') | list | length }}"
                   "{{ m | rejectattr('role', 'eq', 'user') | map(attribute='c') | join }}"
                   "{{ ['a', ' b '] | map('trim') | join }}",
                   messages),
            "12ab");
  EXPECT_EQ(Render("{{ ['x', 'y'] | reject('equalto', 'x') | join(', ') }}"), "y");
}

TEST(TemplateTest, WritesJsonAsPythonDoes) {
  const Json tools = {
      {"t", Json::parse(R"({"name": "f", "z": [1, 2.0, null, true], "a": {}, "e": [],
                                            "s": "\"\u00e9\n<\u0001/"})")}};
  EXPECT_EQ(Render("{{ t | tojson }}", tools),
            R"({"name": "f", "z": [1, 2.0, null, true], "a": {}, "e": [], "s": "\")"
            "\u00e9\\n<\\u0001/\"}");
  EXPECT_EQ(Render("{{ {'a': [1, {'b': 2}], 'c': []} | tojson(indent=2) }}"),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": []\n}");
}

TEST(TemplateTest, Tests) {
  EXPECT_EQ(Render("{{ 'a' is string }}{{ {} is mapping }}{{ [] is iterable }}{{ 1 is number }}"
                   "{{ none is none }}{{ false is false }}{{ 0 is false }}{{ [] is mapping }}"),
            "TrueTrueTrueTrueTrueTrueFalseFalse");
  EXPECT_EQ(Render("{{ 3 is divisibleby 3 }}{{ 'a' is in ['a'] }}{{ 'a' is eq('b') }}"),
            "TrueTrueFalse");
}

TEST(TemplateTest, Methods) {
  EXPECT_EQ(Render("{{ '\\n a\\n'.strip('\\n') }}|{{ 'a</t>b'.split('</t>')[-1] }}|"
                   "{{ 'abc'.startswith('ab') and 'abc'.endswith('c') }}|{{ ' a'.lstrip() }}|"
                   "{{ {'k': 1}.get('x', 'd') }}|{{ 'aa'.replace('a', 'b') }}"),
            " a|b|True|a|d|bb");
}

TEST(TemplateTest, ANameOfAMethodIsNoKeyOfADict) {
  EXPECT_NE(ErrorOf("{{ d.items }}", {{"d", {{"items", 1}}}}).find("items"), std::string::npos);
  EXPECT_EQ(Render("{{ d['items'] }}", {{"d", {{"items", 1}}}}), "1");
}

TEST(TemplateTest, WhatSelectGivesIsWalkedOnce) {
  EXPECT_EQ(Render("{% set s = [1] | select %}{% for x in s %}a{% endfor %}{% for x in s %}b"
                   "{% endfor %}{{ 'true' if s }}"),
            "atrue");
  EXPECT_NE(ErrorOf("{{ [1] | select | length }}"), "no error");
}

TEST(TemplateTest, TellsTheTime) {
  const auto day =
      Template::Parse("{{ strftime_now('%d %b %Y') }}{{ strftime_now is defined }}", "t");
  EXPECT_EQ(day.Render(Json::object(), 1'722'000'000), "26 Jul 2024True");
  EXPECT_EQ(ErrorOf("{{ strftime_now('%99999999d') }}"),
            "t:1: strftime_now: a conversion that is not known here: got %9");
}

TEST(TemplateTest, ATemplateMayRefuse) {
  EXPECT_EQ(ErrorOf("a\n{{ raise_exception('no ' ~ 1) }}"),
            "t:2: the template refuses the conversation: got no 1");
}

TEST(TemplateTest, SaysTheLineAndWhatIsNotKnown) {
  const auto says = [](std::string_view text, std::string_view what) {
    const std::string error = ErrorOf(text);
    EXPECT_TRUE(error.find(what) != std::string::npos) << text << " gave: " << error;
  };
  says("\n\n{% macro f() %}{% endmacro %}", "t:3: a tag that is not known here: got {% macro %}");
  says("a\n{{ 1 | wordwrap }}", "t:2: a filter that is not known here: got wordwrap");
  says("{{ 1 is prime }}", "t:1: a test that is not known here: got prime");
  says("{{ f(1) }}", "t:1: a function that is not known here: got f");
  says("{{ 'a'.title() }}", "t:1: a method that is not known here: got title");
  says("{{ 'a'.nope() }}", "t:1: a method that is not known here: got nope");
  says("{{ trim(x=1) | trim(y=2) }}", "trim");
  says("{{ 'a' | trim(y=2) }}", "an argument that is not known here: got y");
  says("{% if 1 %}\n", "t:1: \"if\" without its end, expected {% endif %}");
  says("{{ [1] }}", "writing a list as text is not known here");
  says("{{ 'a' + 1 }}", "\"+\": not possible with a string and an integer");
  says("{{ x + 'a' }}", "\"x\" is undefined");
  says("{{ 1 / 0 }}", "division by zero");
  says("{{ 9223372036854775807 + 1 }}", "a number too large");
  says("{{ 92233720368547758070 }}", "a number too large");
  says("{{ a b }}", "not understood: got \"b\", expected }}");
  says("{{ 'a }}", "a string that does not end");
  says("{# a", "a comment that does not end");
  says("{{ (1 }}", "a bracket that was not opened: got }");
  says("{{ 'a' | upper | lower | replace('a') }}", "too few arguments");
  says("{{ '\\ud800' }}", "an escape in a string");
  says("{% set x.y = 1 %}", "not a namespace: got x");
  says("{% break %}", "outside of a loop");
  says("{{ \xff }}", "not UTF-8");
}

}  // namespace
}  // namespace stocha::jinja
