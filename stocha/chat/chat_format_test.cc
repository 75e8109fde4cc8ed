#include "stocha/chat/chat_format.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr const char* kConfig =
    R"({"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null})";

std::string Render(const std::string& jinja, const std::string& conversation) {
  return ChatFormat(jinja, kConfig, "m").Render(ParseConversation(conversation, "c"), /*now=*/0);
}

std::string ErrorOf(const std::string& jinja, const std::string& conversation) {
  try {
    Render(jinja, conversation);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

constexpr const char* kHello = R"([{"role": "user", "content": "Hello"}])";

TEST(ChatFormatTest, SpecialTokensHaveNames) {
  EXPECT_EQ(Render("{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}", kHello),
            "<s></s>False");
  EXPECT_EQ(ChatFormat("x", kConfig, "m").eos_token(), "</s>");
  EXPECT_EQ(ChatFormat("x", "", "m").eos_token(), "");
}

TEST(ChatFormatTest, AListOfMessagesAsksForAnAnswer) {
  constexpr const char* kTemplate =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
      "{% if add_generation_prompt %}!{% endif %}";
  EXPECT_EQ(Render(kTemplate, kHello), "user: Hello!");
  EXPECT_EQ(Render(kTemplate, R"({"messages": [{"role": "a", "content": "b"}],
                                  "add_generation_prompt": false})"),
            "a: b");
}

TEST(ChatFormatTest, VariablesKeepTheirOrder) {
  EXPECT_EQ(Render("{{ tools | tojson }}{{ x }}",
                   R"({"messages": [{"role": "a"}], "tools": [{"z": 1, "a": 2}], "x": "y"})"),
            R"([{"z": 1, "a": 2}]y)");
  EXPECT_EQ(Render("{{ tools is none }}{{ documents is none }}{{ x is defined }}", kHello),
            "TrueTrueFalse");
}

TEST(ChatFormatTest, MessagesAreMadeAlikeAsTransformersDoes) {
  constexpr const char* kTemplate = "{{ messages | tojson }}";
  EXPECT_EQ(Render(kTemplate, R"([{"role": "a", "content": null}])"), R"([{"role": "a"}])");
  EXPECT_EQ(Render(kTemplate, R"([{"role": "a", "reasoning": "r"}])"),
            R"([{"thinking": "r", "role": "a", "reasoning": "r", "reasoning_content": "r"}])");
}

TEST(ChatFormatTest, RefusesWhatIsNoConversation) {
  for (const char* text :
       {"[]", "[1]", R"({"messages": {}})", R"({"messages": [[]]})", "{}", "3"}) {
    EXPECT_NE(ErrorOf("x", text).find("no conversation"), std::string::npos) << text;
  }
  EXPECT_NE(ErrorOf("x", R"({"messages": [{}], "add_generation_prompt": 1})").find("true or false"),
            std::string::npos);
  EXPECT_NE(ErrorOf("x", "[{").find("c:"), std::string::npos);
  EXPECT_THROW(ParseVariables("[]", "v"), Error);
}

TEST(ChatFormatTest, SaysWhereATemplateFails) {
  EXPECT_NE(ErrorOf("", kHello).find("m: no chat template"), std::string::npos);
  EXPECT_NE(ErrorOf("\n{% macro x() %}", kHello).find("m: chat template:2"), std::string::npos);
}

}  // namespace
}  // namespace stocha
