#include "stocha/cli/chat_source.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/base/utf8.h"
#include "stocha/cli/model_source.h"
#include "stocha/model/chat_template.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

void AddId(int64_t id, std::vector<int64_t>* ids) {
  if (std::ranges::count(*ids, id) == 0) ids->push_back(id);
}

// "eos_token_id" of generation_config.json: a number, or a list of them.
void AddGenerationStops(const fs::path& file, std::vector<int64_t>* ids) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return;
  const Json json = ParseJson(ReadFile(file), file.string());
  const JsonObject config(json, file.string());
  const Json* stops = config.Find("eos_token_id");
  if (stops == nullptr) return;
  for (const Json& id : stops->is_array() ? *stops : Json::array({*stops})) {
    if (!id.is_number_integer()) config.Fail("eos_token_id", "an id, or a list of ids");
    AddId(id.get<int64_t>(), ids);
  }
}

}  // namespace

ChatFormat LoadChatFormat(const std::string& model) {
  if (IsGguf(model)) {
    const TokenizerFiles files = LoadTokenizerFiles(model);
    return {files.chat_template, files.tokenizer_config, model};
  }
  std::error_code ignored;
  const fs::path config = fs::path(model) / "tokenizer_config.json";
  return {ReadChatTemplate(model), fs::exists(config, ignored) ? ReadFile(config) : "", model};
}

std::vector<int64_t> AnswerStopIds(const std::string& model, const ModelConfig& config,
                                   const Tokenizer& tokenizer, const ChatFormat& format) {
  std::vector<int64_t> ids = config.eos_token_ids;
  AddGenerationStops(fs::path(model) / "generation_config.json", &ids);
  if (format.eos_token().empty()) return ids;
  const std::optional<int32_t> eos = tokenizer.TokenId(format.eos_token());
  if (eos) AddId(*eos, &ids);
  return ids;
}

nlohmann::ordered_json FirstMessages(const std::string& system) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!system.empty()) messages.push_back(ChatMessage("system", system));
  return messages;
}

nlohmann::ordered_json ChatMessage(const std::string& role, const std::string& content) {
  return {{"role", role}, {"content", ReplaceBrokenUtf8(content)}};
}

}  // namespace stocha
