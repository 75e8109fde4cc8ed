// stocha converse: the answers of a model to the prompts of a file, as text to train on.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/progress.h"
#include "stocha/base/sha256.h"
#include "stocha/base/stop_signal.h"
#include "stocha/chat/chat_format.h"
#include "stocha/chat/conversation_log.h"
#include "stocha/cli/chat_source.h"
#include "stocha/cli/command.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/cli/model_source.h"
#include "stocha/cli/sampler_flags.h"
#include "stocha/data/text_reader.h"
#include "stocha/eval/fingerprint.h"
#include "stocha/eval/sampling.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct ConverseFlags {
  EngineFlags engine;
  std::filesystem::path prompts;
  std::filesystem::path output;
  std::string system;
  std::string variables;  // JSON; empty: none
  int64_t limit = 0;      // prompts; 0: all
  int64_t batch = kPassTokens;
  int64_t max_tokens = 256;
  SamplerOptions sampler = {.temperature = 0.8};
  bool activation_prompt = false;
  bool json = false;
};

std::vector<std::string> ReadPrompts(const ConverseFlags& flags) {
  std::vector<std::string> prompts;
  ReadDocuments(
      flags.prompts,
      [&](std::string_view text, TextProgress) {
        const bool wanted = flags.limit == 0 || std::ssize(prompts) < flags.limit;
        if (wanted) prompts.emplace_back(text);
      },
      "prompt");
  if (!prompts.empty()) return prompts;
  throw Error({.where = flags.prompts.string(), .what = "no prompts"});
}

// What every conversation depends on, in short. The number of prompts, threads and the batch are no
// part of it, for answers do not depend on them.
std::string Settings(const ConverseFlags& flags, const Activation& activation) {
  const OrderedJson settings = {{"model", ModelFingerprint(flags.engine.model)},
                                {"prompts", Sha256HexOfFile(flags.prompts)},
                                {"system", flags.system},
                                {"variables", flags.variables},
                                {"max_tokens", flags.max_tokens},
                                {"temperature", flags.sampler.temperature},
                                {"top_k", flags.sampler.top_k},
                                {"top_p", flags.sampler.top_p},
                                {"min_p", flags.sampler.min_p},
                                {"repetition_penalty", flags.sampler.repetition_penalty},
                                {"activation", ToString(activation)},
                                {"activation_prompt", flags.activation_prompt},
                                {"screened", flags.engine.ffn == "screened"},
                                {"prefill", flags.engine.prefill},
                                {"input_bits", flags.engine.input_bits},
                                {"seed", flags.engine.seed}};
  const std::string text = settings.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  return Sha256Hex(text).substr(0, 16);
}

class Converse {
 public:
  explicit Converse(const ConverseFlags& flags)
      : flags_(flags),
        format_(LoadChatFormat(flags.engine.model)),
        tokenizer_(LoadTokenizer(flags.engine.model)),
        variables_(flags.variables.empty()
                       ? OrderedJson::object()
                       : ParseVariables(flags.variables, "--template-variables")),
        prompts_(ReadPrompts(flags)),
        engine_(flags.engine),
        log_(flags.output, Settings(flags, engine_.activation)) {
    const ModelConfig& config = engine_.model.config();
    stops_.resize(static_cast<size_t>(config.vocab_size));
    for (const int64_t id : AnswerStopIds(flags.engine.model, config, tokenizer_, format_)) {
      if (id >= 0 && id < config.vocab_size) stops_[id] = true;
    }
  }

  void Run() {
    FindMissing();
    const auto start = std::chrono::steady_clock::now();
    Answer();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (stop_.requested()) {
      throw Error({.where = flags_.output.string(),
                   .what = "interrupted",
                   .got = fmt::format("{} conversations", log_.size()),
                   .hint = "the same command goes on from there"});
    }
    log_.Finish();
    Report(seconds.count());
  }

 private:
  std::string Render(int64_t prompt, const std::string* answer) const {
    OrderedJson messages = FirstMessages(flags_.system);
    messages.push_back(ChatMessage("user", prompts_[prompt]));
    if (answer != nullptr) messages.push_back(ChatMessage("assistant", *answer));
    return format_.Render(
        {std::move(messages), /*add_generation_prompt=*/answer == nullptr, variables_}, now_);
  }

  // The prompts that have no answer yet, as tokens.
  void FindMissing() {
    const int64_t room = engine_.model.config().max_position_embeddings - flags_.max_tokens;
    for (int64_t i = 0; i < std::ssize(prompts_); ++i) {
      if (log_.Has(i)) {
        ++done_before_;
        continue;
      }
      std::vector<int32_t> ids = tokenizer_.Encode(Render(i, nullptr), /*add_special=*/false);
      if (ids.empty() || std::ssize(ids) > room) {
        ++too_long_;
        continue;
      }
      missing_.push_back(i);
      asked_.push_back({.ids = std::move(ids), .seed = Seed(i)});
    }
  }

  // Far enough apart that no two conversations draw alike.
  uint64_t Seed(int64_t prompt) const {
    return flags_.engine.seed + (static_cast<uint64_t>(prompt) << 32);
  }

  void Answer() {
    const ModelConfig& config = engine_.model.config();
    const SamplingOptions options = {
        .batch = flags_.batch,
        .max_tokens = flags_.max_tokens,
        .sampler = flags_.sampler,
        .activation = engine_.activation,
        .prompt_activation = flags_.activation_prompt ? engine_.activation : config.activation,
        .stops = stops_};
    const uint64_t before = done_before_ + too_long_;
    Progress progress(
        {.label = "converse", .unit = "answers", .total = prompts_.size(), .start = before});
    SampleAll(
        engine_.model, asked_, options, engine_.workspace,
        [&](int64_t index, const std::vector<std::vector<int32_t>>& samples) {
          Add(missing_[index], samples.front());
          progress.Update(before + answered_, static_cast<double>(answered_),
                          fmt::format("{} tokens", FormatCount(static_cast<double>(tokens_))));
          return !stop_.requested();
        },
        [this] { return stop_.requested(); });
  }

  // A whole answer is written as the template writes it; of one that was cut, what there is.
  void Add(int64_t prompt, std::vector<int32_t> ids) {
    ++answered_;
    tokens_ += ids.size();
    const bool whole = stops_[ids.back()];
    if (whole) ids.pop_back();
    const std::string answer = tokenizer_.Decode(ids, /*skip_special=*/true);
    if (whole) {
      log_.Add(prompt, Render(prompt, &answer), "stop_id");
    } else {
      ++cut_;
      log_.Add(prompt, Render(prompt, nullptr) + answer, "max_tokens");
    }
  }

  void Report(double seconds) const {
    const ModelConfig& config = engine_.model.config();
    const double active = 1 - MeanSparsity(engine_.workspace.stats, config);
    const auto answered = static_cast<double>(answered_);
    const auto tokens = static_cast<double>(tokens_);
    if (flags_.json) {
      const OrderedJson json = {{"output", flags_.output.string()},
                                {"conversations", log_.size()},
                                {"answered_now", answered_},
                                {"cut", cut_},
                                {"too_long", too_long_},
                                {"tokens", tokens_},
                                {"seconds", seconds},
                                {"answers_per_s", answered / seconds},
                                {"tokens_per_s", tokens / seconds},
                                {"active_fraction", active},
                                {"activation", ToString(engine_.activation)},
                                {"threads", engine_.pool.num_threads()}};
      fmt::print("{}\n", json.dump(2, ' ', false, OrderedJson::error_handler_t::replace));
      return;
    }
    fmt::print("{}: {} conversations", flags_.output.string(), log_.size());
    if (done_before_ > 0) fmt::print(", {} of them from before", done_before_);
    if (too_long_ > 0) fmt::print("; {} prompts are too long for the context", too_long_);
    fmt::print("\n");
    if (answered_ == 0) return;
    fmt::print(
        "{} answers of {:.1f} tokens in {:.1f} s: {:.2f} answers/s, {:.1f} tok/s; {} cut at "
        "--max-tokens {}; active fraction {:.3f}\n",
        answered_, tokens / answered, seconds, answered / seconds, tokens / seconds, cut_,
        flags_.max_tokens, active);
  }

  const StopSignal stop_{"\nstopping; press Ctrl-C again to quit at once\n"};
  const ConverseFlags& flags_;
  const std::time_t now_ = std::time(nullptr);
  ChatFormat format_;
  Tokenizer tokenizer_;
  OrderedJson variables_;
  std::vector<std::string> prompts_;
  LoadedEngine engine_;
  ConversationLog log_;
  std::vector<bool> stops_;          // [vocab_size]
  std::vector<int64_t> missing_;     // prompts without an answer
  std::vector<SamplePrompt> asked_;  // [missing_]
  uint64_t done_before_ = 0;
  uint64_t too_long_ = 0;
  uint64_t answered_ = 0;
  uint64_t cut_ = 0;
  uint64_t tokens_ = 0;
};

}  // namespace

void AddConverseCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ConverseFlags>();
  CLI::App* sub =
      app.add_subcommand("converse", "Have a model answer prompts, as text to train on");
  AddEngineFlags(sub, &flags->engine);
  sub->add_option("--prompts", flags->prompts,
                  ".jsonl (one a line, under \"prompt\"), .txt (one), or either with .zst")
      ->required();
  sub->add_option("--output", flags->output,
                  "conversations, one JSON line each, under \"text\"; a run that was cut goes on "
                  "from it")
      ->required();
  sub->add_option("--limit", flags->limit, "the first prompts only; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxTokenCount));
  sub->add_option("--batch", flags->batch, "answers at the same time")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1024}));
  sub->add_option("--system", flags->system, "what the model is told first");
  sub->add_option("--template-variables", flags->variables,
                  "a JSON object of what the model's template may ask for");
  AddMaxTokensFlag(sub, &flags->max_tokens);
  AddSamplerFlags(sub, &flags->sampler);
  sub->add_flag("--activation-prompt", flags->activation_prompt,
                "use --activation for the prompts too, not only for answers");
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer(
      "Example:\n  stocha converse models/SmolLM2-135M-Instruct --prompts prompts.jsonl --output "
      "chats.jsonl\n  stocha tokenize chats.jsonl --tokenizer models/SmolLM2-135M-Instruct "
      "--no-special --output chats.tokens");
  sub->callback([flags, &run] {
    run = [flags] {
      ValidateSamplerOptions(flags->sampler);
      Converse(*flags).Run();
    };
  });
}

}  // namespace stocha
