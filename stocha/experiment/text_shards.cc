#include "stocha/experiment/text_shards.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/sha256.h"
#include "stocha/data/token_shard.h"
#include "stocha/experiment/child_process.h"
#include "stocha/experiment/last_lines.h"
#include "stocha/experiment/provenance.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

using OrderedJson = nlohmann::ordered_json;

OrderedJson Describe(const std::vector<std::string>& files) {
  OrderedJson list = OrderedJson::array();
  for (const std::string& file : files) {
    list.push_back(
        {{"file", fs::path(file).filename().string()}, {"sha256", Sha256HexOfFile(file)}});
  }
  return list;
}

// flags: what tokenize is told beside its files, tokenizer and output.
void Tokenize(const std::vector<std::string>& files, const std::string& tokenizer,
              const fs::path& shard, const std::vector<std::string>& flags, const fs::path& stocha,
              const std::function<bool()>& stop_requested) {
  std::error_code error;
  if (files.empty() || fs::exists(shard, error)) return;
  std::vector<std::string> arguments = {stocha.string(), "tokenize", "--tokenizer",
                                        tokenizer,       "--output", shard.string()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  arguments.insert(arguments.end(), files.begin(), files.end());
  const fs::path log = shard.parent_path() / "tokenize.log";
  ChildProcess child(arguments, log);
  const ChildProcess::Ending ending = child.WaitOrStop(stop_requested);
  if (ending.exit_code == 0) return;
  if (ending.stopped) throw Error({.what = "stopped before the first run"});
  throw Error({.where = files[0], .what = "cannot be tokenized: " + LastLine(log)});
}

}  // namespace

void CompleteModels(Experiment* experiment) {
  std::map<std::string, int64_t> sizes;  // of the tokenizers read so far
  for (RunGroup& group : experiment->groups) {
    Recipe& recipe = group.recipe;
    if (!recipe.init_from.empty() && recipe.model == ModelConfig{}) {
      group.model = ReadModelConfig(fs::path(recipe.init_from) / "config.json");
      continue;
    }
    if (recipe.model.vocab_size == 0 && !recipe.tokenizer.empty()) {
      std::error_code error;
      if (!fs::exists(recipe.tokenizer, error)) {
        throw Error({.where = recipe.tokenizer,
                     .what = "no such tokenizer",
                     .hint = "train one on the text with tools/train_tokenizer.py"});
      }
      if (!sizes.contains(recipe.tokenizer)) {
        sizes[recipe.tokenizer] = Tokenizer::FromFile(recipe.tokenizer).vocab_size();
      }
      recipe.model.vocab_size = sizes[recipe.tokenizer];
    }
    group.model = recipe.model;
  }
}

OrderedJson MakeShards(const ExperimentText& text, const fs::path& folder, const fs::path& stocha,
                       const std::function<bool()>& stop_requested) {
  OrderedJson facts = {{"tokenizer_sha256", Sha256HexOfFile(text.tokenizer)},
                       {"train", Describe(text.train)},
                       {"validation", Describe(text.validation)}};
  const bool splits = text.validation.empty() && text.validation_fraction > 0;
  if (splits) facts["validation_fraction"] = text.validation_fraction;
  const fs::path source = folder / "text.json";
  const std::string description = facts.dump(1) + "\n";
  MakeDirectories(folder);
  std::error_code error;
  if (!fs::exists(source, error)) {
    WriteFile(source, description);
  } else if (ReadFile(source) != description) {
    throw Error({.where = source.string(),
                 .what = "the folder was started with another text or tokenizer",
                 .hint = "bring the old ones back, or choose another --output"});
  }
  const fs::path train = folder / "train.tokens";
  const fs::path validation = folder / "validation.tokens";
  std::vector<std::string> flags;
  if (!text.add_special) flags = {"--no-special"};
  Tokenize(text.validation, text.tokenizer, validation, flags, stocha, stop_requested);
  if (splits) {
    flags.insert(flags.end(), {"--validation-fraction", fmt::format("{}", text.validation_fraction),
                               "--validation-output", validation.string()});
  }
  Tokenize(text.train, text.tokenizer, train, flags, stocha, stop_requested);
  facts["train_tokens"] = TokenShard::Open(train).size();
  if (text.validates()) facts["validation_tokens"] = TokenShard::Open(validation).size();
  return facts;
}

}  // namespace stocha
