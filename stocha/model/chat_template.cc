#include "stocha/model/chat_template.h"

#include <system_error>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/base/utf8.h"

namespace stocha {
namespace {

constexpr const char* kKey = "chat_template";
constexpr const char* kConfigFile = "tokenizer_config.json";

std::string FromConfig(std::string_view tokenizer_config, std::string_view where) {
  const Json json = ParseJson(tokenizer_config, where);
  const JsonObject config(json, where);
  const Json* value = config.Find(kKey);
  if (value == nullptr) return "";
  if (value->is_string()) return *value;
  if (!value->is_array()) config.Fail(kKey, "a text, or a list of named ones");
  for (const Json& entry : *value) {
    const JsonObject named(entry, where, std::string(kKey) + ".");
    if (named.String("name") == "default") return named.String("template");
  }
  return "";
}

}  // namespace

std::string ChatTemplate(std::string_view jinja, std::string_view tokenizer_config,
                         std::string_view where) {
  if (!jinja.empty()) {
    if (IsUtf8(jinja)) return std::string(jinja);
    throw Error({.where = std::string(where), .what = "chat template is not UTF-8"});
  }
  return tokenizer_config.empty() ? "" : FromConfig(tokenizer_config, where);
}

std::string ReadChatTemplate(const std::filesystem::path& folder) {
  std::error_code ignored;
  const std::filesystem::path jinja = folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja, ignored)) {
    if (const std::string text = ReadFile(jinja); !text.empty()) {
      return ChatTemplate(text, "", jinja.string());
    }
  }
  const std::filesystem::path config = folder / kConfigFile;
  if (!std::filesystem::exists(config, ignored)) return "";
  return ChatTemplate("", ReadFile(config), config.string());
}

}  // namespace stocha
