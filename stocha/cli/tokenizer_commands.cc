// stocha encode and decode: text to token ids and back, with the tokenizer of a model.
#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/json.h"
#include "stocha/cli/command.h"
#include "stocha/cli/model_source.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

constexpr const char* kStandardInput = "standard input";

struct EncodeOptions {
  std::string tokenizer;
  bool no_special = false;
};

struct DecodeOptions {
  std::string tokenizer;
  bool skip_special = false;
};

std::string ReadStandardInput() {
  std::string text;
  std::vector<char> block(size_t{1} << 16);
  while (const size_t count = std::fread(block.data(), 1, block.size(), stdin)) {
    text.append(block.data(), count);
  }
  if (std::ferror(stdin) != 0) {
    throw Error({.where = kStandardInput, .what = "cannot read: " + ErrnoMessage(errno)});
  }
  return text;
}

// Of a file of its own too.
Tokenizer OpenTokenizer(const std::string& path) {
  return IsGguf(path) ? LoadTokenizer(path) : Tokenizer::FromFile(path);
}

void Encode(const EncodeOptions& options) {
  const Tokenizer tokenizer = OpenTokenizer(options.tokenizer);
  const std::vector<int32_t> ids = tokenizer.Encode(ReadStandardInput(), !options.no_special);
  fmt::print("[{}]\n", fmt::join(ids, ", "));
}

void Decode(const DecodeOptions& options) {
  const Tokenizer tokenizer = OpenTokenizer(options.tokenizer);
  const Json list = ParseJson(ReadStandardInput(), kStandardInput);
  const auto fail = [](const Json& got) {
    throw Error({.where = kStandardInput,
                 .what = "no list of token ids",
                 .got = got.dump(),
                 .expected = "JSON such as [1, 2, 3]"});
  };
  if (!list.is_array()) fail(list);
  std::vector<int32_t> ids;
  for (const Json& id : list) {
    const bool fits =
        id.is_number_unsigned() && id.get<uint64_t>() <= std::numeric_limits<int32_t>::max();
    if (!fits) fail(id);
    ids.push_back(id.get<int32_t>());
  }
  fmt::print("{}", tokenizer.Decode(ids, options.skip_special));
}

}  // namespace

void AddEncodeCommand(CLI::App& app, Run& run) {
  auto options = std::make_shared<EncodeOptions>();
  CLI::App* sub = app.add_subcommand("encode", "Turn text into token ids");
  sub->add_option("TOKENIZER", options->tokenizer, "tokenizer.json, model directory or .gguf")
      ->required();
  sub->add_flag("--no-special", options->no_special,
                "leave out what the tokenizer puts around a text, such as <|begin_of_text|>");
  sub->footer(
      "Reads text on standard input, prints a JSON list.\n\nExample:\n"
      "  echo 'In the beginning' | stocha encode models/demo");
  sub->callback([options, &run] { run = [options] { Encode(*options); }; });
}

void AddDecodeCommand(CLI::App& app, Run& run) {
  auto options = std::make_shared<DecodeOptions>();
  CLI::App* sub = app.add_subcommand("decode", "Turn token ids into text");
  sub->add_option("TOKENIZER", options->tokenizer, "tokenizer.json, model directory or .gguf")
      ->required();
  sub->add_flag("--skip-special", options->skip_special, "leave special tokens out of the text");
  sub->footer(
      "Reads a JSON list on standard input, prints text.\n\nExample:\n"
      "  echo '[1, 2, 3]' | stocha decode models/demo");
  sub->callback([options, &run] { run = [options] { Decode(*options); }; });
}

}  // namespace stocha
