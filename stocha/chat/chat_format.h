// How a model wants conversations written: its template, the special tokens that the template may
// name, and what ends an answer. The text is that of transformers' apply_chat_template.
#ifndef STOCHA_CHAT_CHAT_FORMAT_H_
#define STOCHA_CHAT_CHAT_FORMAT_H_

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "stocha/jinja/template.h"

namespace stocha {

// What is written. Messages are objects, {"role": "user", "content": "..."} most often.
struct Conversation {
  nlohmann::ordered_json messages;
  bool add_generation_prompt = false;  // end with what begins an answer
  // What else the template may name, an object: "tools", "enable_thinking" ...
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
};

// A JSON text: a list of messages, or an object of "messages" and variables, of which
// "add_generation_prompt" is one (true where it is absent). Throws Error, `where` at its head.
Conversation ParseConversation(std::string_view json, const std::string& where);

// An object of variables, in its own order. Throws Error, `where` at its head.
nlohmann::ordered_json ParseVariables(std::string_view json, const std::string& where);

// Immutable and thread-safe; movable.
class ChatFormat {
 public:
  // `chat_template` is Jinja, `tokenizer_config` the text of tokenizer_config.json, or empty.
  // `where`, the model, is at the head of errors. Throws Error when there is no template, or one
  // that is not understood.
  ChatFormat(std::string_view chat_template, std::string_view tokenizer_config,
             const std::string& where);

  // Throws Error: what Template::Render throws, and no messages. The text holds special tokens as
  // they are spelled; it is encoded without those that a tokenizer puts around a text. A token
  // spelled out in a message becomes one too, as it does in transformers.
  std::string Render(const Conversation& conversation, std::time_t now) const;

  // As spelled; empty where tokenizer_config.json has none.
  const std::string& eos_token() const { return eos_token_; }

 private:
  std::string where_;
  jinja::Template template_;
  nlohmann::ordered_json special_tokens_;  // "bos_token": "<s>" ...
  std::string eos_token_;
};

}  // namespace stocha

#endif  // STOCHA_CHAT_CHAT_FORMAT_H_
