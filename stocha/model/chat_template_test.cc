#include "stocha/model/chat_template.h"

#include <gtest/gtest.h>

#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr const char* kText = R"({"bos_token": "<s>", "chat_template": "{{ messages }}"})";

TEST(ChatTemplateTest, IsATextOfTheConfig) {
  EXPECT_EQ(ChatTemplate("", kText, "x"), "{{ messages }}");
}

TEST(ChatTemplateTest, AFileOfItsOwnCountsFirst) {
  EXPECT_EQ(ChatTemplate("{% if a %}", kText, "x"), "{% if a %}");
}

TEST(ChatTemplateTest, OfAListItIsTheDefault) {
  EXPECT_EQ(ChatTemplate("", R"({"chat_template": [{"name": "tool_use", "template": "a"},
                                                   {"name": "default", "template": "b"}]})",
                         "x"),
            "b");
  EXPECT_EQ(ChatTemplate("", R"({"chat_template": [{"name": "rag", "template": "a"}]})", "x"), "");
}

TEST(ChatTemplateTest, MayBeAbsent) {
  for (const char* config : {"", "{}", R"({"chat_template": null})", R"({"chat_template": []})"}) {
    EXPECT_EQ(ChatTemplate("", config, "x"), "") << config;
  }
}

TEST(ChatTemplateTest, WhatIsNeitherIsRefused) {
  for (const char* config : {R"({"chat_template": 1})", R"({"chat_template": {"default": "a"}})",
                             R"({"chat_template": ["a"]})", R"({"chat_template": [{}]})",
                             R"({"chat_template": [{"name": "default"}]})", "[]", "{"}) {
    EXPECT_THROW(ChatTemplate("", config, "x"), Error) << config;
  }
  EXPECT_THROW(ChatTemplate("\xff", "", "x"), Error);
}

}  // namespace
}  // namespace stocha
