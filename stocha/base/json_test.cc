#include "stocha/base/json.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

std::string ParseError(std::string_view text) {
  try {
    ParseJson(text, "file.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(JsonTest, BuildsWhatNlohmannBuilds) {
  for (const char* text :
       {"null", "-1", "18446744073709551615", "1e3", "\"a\\u00e9\"", "[]", "{}",
        R"({"a": [1, {"b": [[], {}, "x"]}, null], "c": {"d": {"e": true}}, "a2": -0.5})"}) {
    EXPECT_EQ(ParseJson(text, "here"), Json::parse(text)) << text;
  }
}

TEST(JsonTest, RefusesBrokenTextInOneLine) {
  EXPECT_NE(ParseError("[1, x]").find("file.json: broken JSON at byte 5"), std::string::npos)
      << ParseError("[1, x]");
  for (const char* text : {"", "{", "[1,]", "{\"a\":1} x", "1e999", "\"\xff\"", "nan", "'a'"}) {
    const std::string message = ParseError(text);
    EXPECT_TRUE(message.starts_with("file.json: ")) << text << " -> " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(JsonTest, RefusesDuplicateKeys) {
  EXPECT_EQ(ParseError(R"({"x": {"a": 1, "b": 2, "a": 1}})"),
            "file.json: JSON object with a key twice: got \"a\" again");
  EXPECT_EQ(ParseError(R"([{"a": 1}, {"a": 1}])"), "");
}

TEST(JsonTest, RefusesDeepNestingWithoutDeepRecursion) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(ParseError(nested(kMaxJsonDepth)), "");
  EXPECT_NE(ParseError(nested(kMaxJsonDepth + 1)).find("nested too deep"), std::string::npos);
  EXPECT_NE(ParseError(nested(1'000'000)).find("nested too deep"), std::string::npos);
  EXPECT_NE(ParseError(std::string(1'000'000, '[')).find("nested too deep"), std::string::npos);
}

TEST(JsonObjectTest, ReadsTypedValues) {
  const Json json = ParseJson(
      R"({"i": 7, "n": 1.5, "b": true, "s": "x", "a": [1], "o": {"k": 2}, "z": null})", "f");
  const JsonObject object(json, "f");
  EXPECT_EQ(object.Integer("i"), 7);
  EXPECT_EQ(object.Number("n"), 1.5);
  EXPECT_EQ(object.Number("i"), 7.0);
  EXPECT_TRUE(object.Bool("b"));
  EXPECT_EQ(object.String("s"), "x");
  EXPECT_EQ(object.Array("a").size(), 1U);
  EXPECT_EQ(object.Object("o").Integer("k"), 2);
  EXPECT_FALSE(object.Has("z"));  // null counts as absent
  EXPECT_EQ(object.IntegerOr("z", 3), 3);
  EXPECT_EQ(object.NumberOr("none", 2.5), 2.5);
  EXPECT_EQ(object.StringOr("none", "y"), "y");
  EXPECT_TRUE(object.BoolOr("b", false));
}

TEST(JsonObjectTest, ErrorsNameTheKeyAndWhatWasExpected) {
  const Json json = ParseJson(R"({"i": "x", "big": 9223372036854775808, "o": {"k": 1.0}})", "f");
  const JsonObject object(json, "f");
  const auto message = [](const auto& read) -> std::string {
    try {
      read();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([&] { object.Integer("i", 1, 9); }),
            "f: key \"i\": got \"x\", expected an integer from 1 to 9");
  EXPECT_EQ(message([&] { object.Integer("big"); }),
            "f: key \"big\": got 9223372036854775808, expected an integer");
  EXPECT_EQ(message([&] { object.Object("o").Integer("k"); }),
            "f: key \"o.k\": got 1.0, expected an integer");
  EXPECT_EQ(message([&] { object.String("none"); }),
            "f: key \"none\": got nothing, expected a string");
  EXPECT_EQ(message([&] { object.BoolOr("i", true); }),
            "f: key \"i\": got \"x\", expected true or false");
  EXPECT_EQ(message([&] { JsonObject(*object.Find("i"), "f"); }),
            "f: unexpected content: got \"x\", expected a JSON object");
}

}  // namespace
}  // namespace stocha
