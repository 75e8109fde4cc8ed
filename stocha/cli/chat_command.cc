// stocha chat: a conversation with a model, on a terminal, line by line, or of one message.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/stop_signal.h"
#include "stocha/chat/chat_format.h"
#include "stocha/chat/chat_session.h"
#include "stocha/cli/chat_source.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/generation_stats.h"
#include "stocha/cli/model_source.h"
#include "stocha/cli/sampler_flags.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kBegin = "/new";

struct ChatFlags {
  EngineFlags engine;
  std::optional<std::string> message;
  std::string system;
  std::string render;     // a file; empty: none
  std::string variables;  // JSON; empty: none
  int64_t context = 0;    // 0: DefaultChatContext
  GenerateOptions options = {.max_tokens = 512};
  bool activation_prompt = false;
  bool stats = false;
  bool json = false;
};

void Print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

OrderedJson Variables(const ChatFlags& flags) {
  if (flags.variables.empty()) return OrderedJson::object();
  return ParseVariables(flags.variables, "--template-variables");
}

void RunRender(const ChatFlags& flags) {
  const ChatFormat format = LoadChatFormat(flags.engine.model);
  const std::string json = flags.render == "-"
                               ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                               : ReadFile(flags.render);
  Conversation conversation = ParseConversation(json, flags.render);
  conversation.variables.update(Variables(flags));
  Print(format.Render(conversation, std::time(nullptr)));
}

// A conversation and what it runs on.
class Chat {
 public:
  explicit Chat(const ChatFlags& flags)
      : flags_(flags),
        format_(LoadChatFormat(flags.engine.model)),
        tokenizer_(LoadTokenizer(flags.engine.model)),
        variables_(Variables(flags)),
        engine_(flags.engine),
        options_(flags.options),
        session_(engine_.model, engine_.workspace, Context()) {
    const ModelConfig& config = engine_.model.config();
    options_.seed = flags.engine.seed;
    options_.activation = engine_.activation;
    options_.prompt_activation = flags.activation_prompt ? engine_.activation : config.activation;
    options_.stop_ids = AnswerStopIds(flags.engine.model, config, tokenizer_, format_);
    Clear();
  }

  void Clear() { messages_ = FirstMessages(flags_.system); }

  // Says `text` to the model; the answer is printed as it comes, unless --json asks otherwise.
  // Throws Error, with the conversation as it was, when it cannot be answered.
  void Say(const std::string& text, const StopSignal& stop) {
    OrderedJson messages = messages_;
    messages.push_back(ChatMessage("user", text));
    const std::string rendered =
        format_.Render({messages, /*add_generation_prompt=*/true, variables_}, std::time(nullptr));
    StreamDecoder decoder(tokenizer_);
    const Answer answer = session_.Run(
        tokenizer_.Encode(rendered, /*add_special=*/false), options_,
        [&](int32_t id) {
          if (!flags_.json) Print(decoder.Push(id));
        },
        [&stop] { return stop.requested(); });
    const std::string content = tokenizer_.Decode(answer.ids, /*skip_special=*/true);
    messages.push_back(ChatMessage("assistant", content));
    messages_ = std::move(messages);
    if (flags_.json) {
      PrintJson(answer, content);
    } else {
      Print(decoder.Finish() + "\n");
      TellStop(answer);
    }
    if (flags_.stats) {
      PrintGenerationStats(answer.prefill, answer.decode, engine_, flags_.engine);
    }
  }

 private:
  int64_t Context() const {
    const ModelConfig& config = engine_.model.config();
    return flags_.context == 0 ? DefaultChatContext(config) : flags_.context;
  }

  void TellStop(const Answer& answer) const {
    if (answer.stop == StopReason::kMaxTokens) {
      fmt::print(stderr, "(cut after --max-tokens {})\n", options_.max_tokens);
    } else if (answer.stop == StopReason::kContextFull) {
      fmt::print(stderr, "(the context of {} tokens is full)\n", session_.context());
    }
  }

  void PrintJson(const Answer& answer, const std::string& content) const {
    OrderedJson json = {{"text", content},
                        {"ids", answer.ids},
                        {"stop", StopReasonName(answer.stop)},
                        {"seed", options_.seed},
                        {"prompt_tokens", answer.prompt_tokens}};
    AddGenerationJson(&json, answer.prefill, answer.decode, engine_, flags_.engine);
    Print(json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
  }

  const ChatFlags& flags_;
  ChatFormat format_;
  Tokenizer tokenizer_;
  OrderedJson variables_;
  LoadedEngine engine_;
  GenerateOptions options_;
  ChatSession session_;
  OrderedJson messages_;
};

// Every line of standard input is a message.
void RunLines(Chat& chat) {
  const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
  std::string line;
  while (!stop.requested() && std::getline(std::cin, line)) {
    if (!line.empty()) chat.Say(line, stop);
  }
}

void RunInteractive(Chat& chat) {
  fmt::print(stderr, "Ctrl-C stops an answer, {} begins a new conversation, Ctrl-D leaves.\n",
             kBegin);
  std::string line;
  while (true) {
    Print("> ");
    if (!std::getline(std::cin, line)) break;
    if (line == kBegin) {
      chat.Clear();
    } else if (!line.empty()) {
      try {
        // Ctrl-C at the prompt leaves, as everywhere.
        const StopSignal stop("\n");
        chat.Say(line, stop);
      } catch (const Error& error) {
        fmt::print(stderr, "{} ({} does)\n", error.what(), kBegin);
      }
    }
  }
  Print("\n");
}

void RunChat(const ChatFlags& flags) {
  if (flags.json && !flags.message) {
    throw UsageError({.where = "--json", .what = "needs --message: one answer is one object"});
  }
  if (!flags.render.empty()) {
    RunRender(flags);
    return;
  }
  ValidateSamplerOptions(flags.options.sampler);
  Chat chat(flags);
  if (flags.message) {
    const StopSignal stop("\nstopping; press Ctrl-C again to quit at once\n");
    chat.Say(*flags.message, stop);
  } else if (isatty(STDIN_FILENO) != 0) {
    RunInteractive(chat);
  } else {
    RunLines(chat);
  }
}

}  // namespace

void AddChatCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* sub = app.add_subcommand("chat", "Talk with a model");
  AddEngineFlags(sub, &flags->engine);
  sub->add_option("--message", flags->message,
                  "say this, print the answer and leave; without it, each line of standard input "
                  "is a message");
  sub->add_option("--system", flags->system, "what the model is told first");
  sub->add_option("--template-variables", flags->variables,
                  "a JSON object of what the model's template may ask for: "
                  "'{\"enable_thinking\": false}'");
  sub->add_option("--context", flags->context,
                  "tokens that a conversation may have; 0: what the model and memory allow")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokenCount));
  AddMaxTokensFlag(sub, &flags->options.max_tokens);
  AddSamplerFlags(sub, &flags->options.sampler);
  sub->add_flag("--activation-prompt", flags->activation_prompt,
                "use --activation for what is said to the model too, not only for its answers");
  sub->add_flag("--stats", flags->stats, "speed and active fraction of neurons, on standard error");
  sub->add_flag("--json", flags->json, "with --message: print text, ids and statistics as JSON");
  sub->add_option("--render", flags->render,
                  "print the text that the template makes of a conversation, a JSON file (-: "
                  "standard input), and leave; docs/chat.md")
      ->type_name("FILE");
  sub->footer(
      "Example:\n  stocha chat models/SmolLM2-135M-Instruct\n  stocha chat "
      "models/SmolLM2-135M-Instruct --message \"What is the capital of France?\" --stats");
  sub->callback([flags, &run] { run = [flags] { RunChat(*flags); }; });
}

}  // namespace stocha
