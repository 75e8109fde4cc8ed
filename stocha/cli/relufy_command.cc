// stocha relufy: a model trained with SiLU trained on until it computes ReLU. Makes shards of the
// text and a recipe, then hands over to the trainer.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/stop_signal.h"
#include "stocha/cli/command.h"
#include "stocha/cli/trainer_program.h"
#include "stocha/experiment/child_process.h"
#include "stocha/experiment/last_lines.h"
#include "stocha/experiment/text_shards.h"
#include "stocha/relufy/relufy.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxTokens = int64_t{1} << 40;
// Of the text, when no other is given to validate on.
constexpr double kValidationFraction = 0.01;

const std::map<std::string, RelufyTeacher> kTeachers = {{"none", RelufyTeacher::kNone},
                                                        {"layers", RelufyTeacher::kLayers},
                                                        {"kl", RelufyTeacher::kKl},
                                                        {"both", RelufyTeacher::kBoth}};

struct RelufyFlags {
  std::string model;
  std::vector<std::string> text;
  std::vector<std::string> validation;
  std::vector<std::string> conversations;
  std::string prompts;
  int64_t num_prompts = 500;
  std::string output;
  std::string recipe;
  std::vector<std::string> overrides;
  RelufyTeacher teacher = RelufyOptions().teacher;
  int64_t tokens = 0;
  int threads = 0;
  bool dry_run = false;
  bool json = false;
  bool print_defaults = false;
};

void CheckFlags(const RelufyFlags& flags) {
  const auto need = [](const std::string& value, const char* name, const char* expected) {
    if (value.empty()) {
      throw UsageError({.where = name, .what = "missing", .expected = expected});
    }
  };
  need(flags.model, "MODEL", "a model folder");
  need(flags.text.empty() ? "" : flags.text[0], "--text", "text to train on, as tokenize reads it");
  need(flags.output, "--output", "a folder for the run");
  if (!flags.prompts.empty() && !flags.conversations.empty()) {
    throw UsageError(
        {.what = "--prompts and --conversations",
         .hint = "give prompts to have conversations written, or those that there are"});
  }
}

// Has the model answer the prompts (stocha converse), which goes on where a run before was cut.
void WriteConversations(const RelufyFlags& flags, const fs::path& conversations) {
  const fs::path log = conversations.parent_path() / "converse.log";
  const std::string limit = std::to_string(flags.num_prompts);
  ChildProcess child({ThisProgram(), "converse", flags.model, "--prompts", flags.prompts,
                      "--output", conversations, "--limit", limit},
                     log);
  std::fprintf(stderr, "the model answers the prompts of %s, see %s\n", flags.prompts.c_str(),
               log.c_str());
  const StopSignal stop("\nstopping; once more kills at once\n");
  const ChildProcess::Ending ending = child.WaitOrStop([&stop] { return stop.requested(); });
  if (ending.stopped) throw Error({.what = "stopped before training; the same command goes on"});
  if (ending.exit_code == 0) return;
  throw Error({.where = flags.prompts, .what = "no conversations: " + LastLine(log)});
}

// Of FILES, under FOLDER, in tokens of the model; a message on stderr when there is work to do.
void Shards(const ExperimentText& text, const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(text.train[0], ignored) && !fs::exists(folder / "train.tokens", ignored)) {
    std::fprintf(stderr, "tokenizing %s into %s\n", text.train[0].c_str(), folder.c_str());
  }
  const StopSignal stop("\nstopping; once more kills at once\n");
  MakeShards(text, folder, ThisProgram(), [&stop] { return stop.requested(); });
}

void RelufyCommand(const RelufyFlags& flags) {
  if (flags.print_defaults) {
    std::printf("%s", std::string(RelufyDefaults()).c_str());
    return;
  }
  CheckFlags(flags);
  const ModelConfig config = CheckRelufiable(flags.model);
  const fs::path output = flags.output;
  RelufyOptions options{.model = flags.model,
                        .teacher = flags.teacher,
                        .tokens = flags.tokens,
                        .train = output / "text/train.tokens",
                        .validation = output / "text/validation.tokens",
                        .recipe = flags.recipe,
                        .overrides = flags.overrides};
  // A dry run does not wait for conversations to be written: a step costs the same without.
  const bool chats = !flags.conversations.empty() || (!flags.prompts.empty() && !flags.dry_run);
  if (chats) options.conversations = output / "conversations/train.tokens";
  Recipe recipe = MakeRelufyRecipe(options, config);  // at fault: nothing was written yet
  if (flags.threads > 0) recipe.threads = flags.threads;

  const std::string tokenizer = fs::path(flags.model) / "tokenizer.json";
  Shards({.tokenizer = tokenizer,
          .train = flags.text,
          .validation = flags.validation,
          .validation_fraction = flags.validation.empty() ? kValidationFraction : 0},
         output / "text");
  if (chats) {
    std::vector<std::string> files = flags.conversations;
    if (files.empty()) {
      files = {output / "conversations.jsonl"};
      WriteConversations(flags, files[0]);
    }
    Shards({.tokenizer = tokenizer, .train = files, .add_special = false},
           output / "conversations");
  }
  const fs::path run = output / "run";
  const fs::path file = output / "recipe.toml";
  WriteFile(file, RecipeToToml(recipe));
  std::vector<std::string> arguments = {file, "--output", run};
  std::error_code ignored;
  if (flags.dry_run) arguments.emplace_back("--dry-run");
  if (!flags.dry_run && fs::exists(run, ignored)) arguments.emplace_back("--resume");
  if (flags.json) arguments.emplace_back("--json");
  HandOverToTrainer(std::move(arguments));
}

}  // namespace

void AddRelufyCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<RelufyFlags>();
  CLI::App* sub = app.add_subcommand(
      "relufy", "Turn a model trained with SiLU into a sparse one that computes ReLU");
  sub->add_option("MODEL", flags->model, "A model folder");
  sub->add_option("--text", flags->text, "Text to train on, as tokenize reads it")
      ->type_name("FILE");
  sub->add_option("--output", flags->output, "Folder of the run; the model will be in run/final")
      ->type_name("FOLDER");
  sub->add_option("--validation", flags->validation,
                  "Text to validate on (default: the last hundredth of --text)")
      ->type_name("FILE");
  sub->add_option("--conversations", flags->conversations,
                  "Conversations to mix in, so that a chat model stays one (stocha converse)")
      ->type_name("FILE");
  sub->add_option("--prompts", flags->prompts,
                  "Prompts for the model itself to write such conversations to")
      ->type_name("FILE");
  sub->add_option("--num-prompts", flags->num_prompts, "Of --prompts, the first so many")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, kMaxTokens));
  sub->add_option("--tokens", flags->tokens, "To train on, in all (default: about 4 million)")
      ->check(CLI::Range(int64_t{1}, kMaxTokens));
  sub->add_option(
         "--teacher", flags->teacher,
         "What the model as it was teaches: each feed-forward layer's output (layers), the "
         "next token's distribution (kl), both or none")
      ->transform(CLI::CheckedTransformer(kTeachers))
      ->default_str("both");
  sub->add_option("--recipe", flags->recipe, "Keys that replace the defaults (see --defaults)")
      ->type_name("FILE");
  sub->add_option("--set", flags->overrides, "Override one key, e.g. --set training.l1=0.01")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--threads", flags->threads, "Instead of the recipe's")
      ->check(CLI::Range(1, 4096));
  sub->add_flag("--dry-run", flags->dry_run,
                "Print what the run takes in memory and time, and leave");
  sub->add_flag("--defaults", flags->print_defaults, "Print the recipe that others are put over");
  sub->add_flag("--json", flags->json, "Print the final figures as one JSON object");
  sub->footer(
      "Example:\n"
      "  stocha relufy models/SmolLM2-135M-Instruct --text books.jsonl.zst --output runs/relu\n"
      "Ctrl-C saves; the same command goes on.");
  sub->callback([flags, &run] { run = [flags] { RelufyCommand(*flags); }; });
}

}  // namespace stocha
