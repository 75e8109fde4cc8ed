#include "stocha/chat/chat_format.h"

#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

// What transformers calls special_tokens_map.
constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};
// Names that a message's reasoning goes by.
constexpr const char* kReasoning[] = {"reasoning_content", "thinking", "reasoning"};

std::string_view CheckTemplate(std::string_view chat_template, const std::string& where) {
  if (!chat_template.empty()) return chat_template;
  throw Error({.where = where,
               .what = "no chat template, which a conversation needs",
               .hint = "a model directory has it in chat_template.jinja or tokenizer_config.json; "
                       "`stocha generate` continues plain text"});
}

OrderedJson ReadSpecialTokens(std::string_view tokenizer_config, const std::string& where) {
  OrderedJson tokens = OrderedJson::object();
  if (tokenizer_config.empty()) return tokens;
  const std::string name = where + ": tokenizer_config.json";
  const Json json = ParseJson(tokenizer_config, name);
  const JsonObject config(json, name);
  for (const char* key : kSpecialTokens) {
    const Json* token = config.Find(key);
    if (token == nullptr) continue;
    tokens[key] =
        token->is_object() ? JsonObject(*token, name).String("content") : config.String(key);
  }
  return tokens;
}

// As transformers: keys that are null are dropped, and reasoning goes by two names.
OrderedJson Normalize(const OrderedJson& message) {
  OrderedJson kept = OrderedJson::object();
  OrderedJson reasoning;
  for (const char* name : kReasoning) {
    if (!reasoning.is_null() || !message.contains(name)) continue;
    reasoning = message[name];
  }
  if (!reasoning.is_null()) kept["thinking"] = reasoning;
  for (const auto& [key, value] : message.items()) {
    if (!value.is_null()) kept[key] = value;
  }
  if (!reasoning.is_null()) kept["reasoning_content"] = std::move(reasoning);
  return kept;
}

// Checked as all JSON is, then read again in its own order, which a template may print.
OrderedJson ParseOrdered(std::string_view json, const std::string& where) {
  ParseJson(json, where);
  return OrderedJson::parse(json);
}

}  // namespace

OrderedJson ParseVariables(std::string_view json, const std::string& where) {
  OrderedJson variables = ParseOrdered(json, where);
  if (variables.is_object()) return variables;
  throw Error({.where = where, .what = "not a JSON object"});
}

Conversation ParseConversation(std::string_view json, const std::string& where) {
  OrderedJson parsed = ParseOrdered(json, where);
  if (parsed.is_array()) return {.messages = std::move(parsed), .add_generation_prompt = true};
  if (!parsed.is_object() || !parsed.contains("messages")) {
    throw Error({.where = where,
                 .what = "no conversation",
                 .expected = "a list of messages, or an object with \"messages\""});
  }
  Conversation conversation = {.messages = std::move(parsed["messages"]),
                               .add_generation_prompt = true};
  parsed.erase("messages");
  if (const auto found = parsed.find("add_generation_prompt"); found != parsed.end()) {
    if (!found->is_boolean()) {
      throw Error({.where = where,
                   .what = "key \"add_generation_prompt\"",
                   .got = found->dump(),
                   .expected = "true or false"});
    }
    conversation.add_generation_prompt = found->get<bool>();
    parsed.erase("add_generation_prompt");
  }
  conversation.variables = std::move(parsed);
  return conversation;
}

ChatFormat::ChatFormat(std::string_view chat_template, std::string_view tokenizer_config,
                       const std::string& where)
    : where_(where),
      template_(
          jinja::Template::Parse(CheckTemplate(chat_template, where), where + ": chat template")),
      special_tokens_(ReadSpecialTokens(tokenizer_config, where)),
      eos_token_(special_tokens_.value("eos_token", "")) {}

std::string ChatFormat::Render(const Conversation& conversation, std::time_t now) const {
  const OrderedJson& messages = conversation.messages;
  const bool is_list = messages.is_array() && !messages.empty();
  OrderedJson variables = special_tokens_;
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  for (const auto& [name, value] : conversation.variables.items()) variables[name] = value;
  variables["add_generation_prompt"] = conversation.add_generation_prompt;
  OrderedJson normalized = OrderedJson::array();
  for (const OrderedJson& message : messages) {
    if (!is_list || !message.is_object()) break;
    normalized.push_back(Normalize(message));
  }
  if (!is_list || normalized.size() != messages.size()) {
    throw Error({.where = where_,
                 .what = "no conversation",
                 .expected = "messages, each an object like "
                             "{\"role\": \"user\", \"content\": \"Hello\"}"});
  }
  variables["messages"] = std::move(normalized);
  return template_.Render(variables, now);
}

}  // namespace stocha
