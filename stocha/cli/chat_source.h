// What `chat` and `converse` need of a model beside its weights.
#ifndef STOCHA_CLI_CHAT_SOURCE_H_
#define STOCHA_CLI_CHAT_SOURCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "stocha/chat/chat_format.h"
#include "stocha/model/config.h"
#include "stocha/model/tokenizer.h"

namespace stocha {

// Of a model directory, a packed model or another GGUF. Throws Error when there is no chat
// template.
ChatFormat LoadChatFormat(const std::string& model);

// What ends an answer: the ids of config.json and of generation_config.json, and eos_token of
// tokenizer_config.json.
std::vector<int64_t> AnswerStopIds(const std::string& model, const ModelConfig& config,
                                   const Tokenizer& tokenizer, const ChatFormat& format);

// A conversation of what was said so far: `system`, unless it is empty, comes first.
nlohmann::ordered_json FirstMessages(const std::string& system);

// {"role": role, "content": content}; broken UTF-8 becomes U+FFFD.
nlohmann::ordered_json ChatMessage(const std::string& role, const std::string& content);

}  // namespace stocha

#endif  // STOCHA_CLI_CHAT_SOURCE_H_
