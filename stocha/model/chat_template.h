// The chat template of a model: the Jinja text that makes one text of messages. It is kept and
// handed on here, not run.
#ifndef STOCHA_MODEL_CHAT_TEMPLATE_H_
#define STOCHA_MODEL_CHAT_TEMPLATE_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace stocha {

// `jinja`, the text of chat_template.jinja, unless it is empty; else "chat_template" of
// `tokenizer_config`, the text of tokenizer_config.json: a text, or a list of named ones, of which
// it is the "default". Empty: there is none. A pure function. Throws Error, `where` at its head, on
// what is neither.
std::string ChatTemplate(std::string_view jinja, std::string_view tokenizer_config,
                         std::string_view where);

// That of a model directory.
std::string ReadChatTemplate(const std::filesystem::path& folder);

}  // namespace stocha

#endif  // STOCHA_MODEL_CHAT_TEMPLATE_H_
