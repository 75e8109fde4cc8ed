// stocha tokenize: text files into token shards, the form that training reads.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/progress.h"
#include "stocha/base/stop_signal.h"
#include "stocha/base/thread_pool.h"
#include "stocha/cli/command.h"
#include "stocha/data/parallel_encoder.h"
#include "stocha/data/text_reader.h"
#include "stocha/data/token_shard.h"
#include "stocha/data/validation_split.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

using OrderedJson = nlohmann::ordered_json;

// What ends a document, when the user does not say: the first of these that the tokenizer has.
constexpr const char* kEndOfText[] = {"<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "</s>",
                                      "<eos>"};

struct TokenizeFlags {
  std::string tokenizer;
  std::vector<fs::path> files;
  std::string output;
  std::string end_of_text;  // empty: one of kEndOfText
  bool no_special = false;
  int threads = 0;  // 0: all processors
  double validation_fraction = 0;
  std::string validation_output;
  bool json = false;

  bool validates() const { return !validation_output.empty(); }
};

void CheckFlags(const TokenizeFlags& flags) {
  if (flags.validation_fraction == 1) {
    throw UsageError({.where = "--validation-fraction", .got = "1", .expected = "less than 1"});
  }
  if (flags.validates() != (flags.validation_fraction != 0)) {
    throw UsageError({.what = "--validation-fraction and --validation-output need each other"});
  }
  if (flags.validates() && fs::absolute(flags.output).lexically_normal() ==
                               fs::absolute(flags.validation_output).lexically_normal()) {
    throw UsageError({.what = "--output and --validation-output are one file"});
  }
}

struct EndOfText {
  std::string token;
  std::optional<int32_t> id;
};

EndOfText FindEndOfText(const Tokenizer& tokenizer, const TokenizeFlags& flags) {
  if (!flags.end_of_text.empty()) {
    const std::optional<int32_t> id = tokenizer.TokenId(flags.end_of_text);
    if (id) return {flags.end_of_text, id};
    throw Error({.where = "--end-of-text",
                 .what = "the tokenizer has no such token",
                 .got = "\"" + flags.end_of_text + "\"",
                 .hint = "take one of the added_tokens in " + flags.tokenizer});
  }
  for (const char* token : kEndOfText) {
    if (const std::optional<int32_t> id = tokenizer.TokenId(token)) return {token, id};
  }
  return {};
}

// A shard being written, and what went into it.
struct Output {
  Output(std::string shard_path, const Tokenizer& tokenizer, const TokenizerDigest& digest)
      : path(std::move(shard_path)),
        writer(path, static_cast<uint32_t>(tokenizer.vocab_size()), digest) {}

  void Append(std::span<const int32_t> ids, uint64_t bytes) {
    writer.Append(ids, bytes);
    ++documents;
    text_bytes += bytes;
  }

  std::string path;
  TokenShardWriter writer;
  uint64_t documents = 0;
  uint64_t text_bytes = 0;
};

// Reads, encodes and writes; keeps what is needed to say how far it is.
class Tokenization {
 public:
  explicit Tokenization(const TokenizeFlags& flags)
      : flags_(flags),
        tokenizer_(Tokenizer::FromFile(flags.tokenizer)),
        end_of_text_(FindEndOfText(tokenizer_, flags)),
        threads_(flags.threads == 0 ? AvailableProcessors() : flags.threads) {
    for (const fs::path& file : flags.files) bytes_total_ += TextFileBytes(file);
    const fs::path tokenizer = flags.tokenizer;
    const TokenizerDigest digest =
        DigestTokenizer(fs::is_directory(tokenizer) ? tokenizer / "tokenizer.json" : tokenizer);
    // Before the work, so that a folder that cannot be written to is found at once.
    train_.emplace(flags.output, tokenizer_, digest);
    if (!flags.validates()) return;
    validation_.emplace(flags.validation_output, tokenizer_, digest);
    split_ = SplitForValidation(flags.files, flags.validation_fraction, [this] { StopIfAsked(); });
  }

  void Run() {
    {
      Progress progress({.label = "tokenize", .unit = "MB", .total = bytes_total_});
      ParallelEncoder encoder(
          threads_,
          [this](const std::string& text, const std::string& name) { return Encode(text, name); },
          [&](std::span<const int32_t> ids, uint64_t text_bytes) {
            Write(ids, text_bytes);
            ShowProgress(&progress);
          });
      for (const fs::path& file : flags_.files) {
        uint64_t stored = 0;
        ReadDocuments(file, [&](std::string_view text, TextProgress read) {
          StopIfAsked();
          bytes_read_ += read.bytes_read - std::exchange(stored, read.bytes_read);
          Add(text, file.string(), &encoder);
        });
      }
      encoder.Finish();
    }
    StopIfAsked();
    if (train_->documents == 0) {
      throw Error({.where = flags_.files.front().string(), .what = "no text"});
    }
    if (validation_) validation_->writer.Commit();
    train_->writer.Commit();
  }

  void PrintSummary(double seconds) const {
    const std::string end =
        end_of_text_.id ? fmt::format("each ended by {}", end_of_text_.token)
                        : "with nothing between them: the tokenizer has no end-of-text token";
    for (const Output* output : Outputs()) {
      const auto tokens = static_cast<double>(output->writer.size());
      const auto bytes = static_cast<double>(output->text_bytes);
      fmt::print("{}: {} tokens of {} bytes of text, {:.2f} bytes a token; {} document{}, {}\n",
                 output->path, output->writer.size(), output->text_bytes, bytes / tokens,
                 output->documents, output->documents == 1 ? "" : "s", end);
    }
    fmt::print("{:.1f} MB/s on {} thread{}\n", 1e-6 * static_cast<double>(text_written_) / seconds,
               threads_, threads_ == 1 ? "" : "s");
  }

  void PrintJson(double seconds) const {
    OrderedJson outputs = OrderedJson::array();
    for (const Output* output : Outputs()) {
      outputs.push_back({{"path", output->path},
                         {"documents", output->documents},
                         {"text_bytes", output->text_bytes},
                         {"tokens", output->writer.size()}});
    }
    OrderedJson json = {{"outputs", outputs}, {"vocab_size", tokenizer_.vocab_size()}};
    json["end_of_text"] = end_of_text_.id ? OrderedJson(end_of_text_.token) : OrderedJson();
    json["end_of_text_id"] = end_of_text_.id ? OrderedJson(*end_of_text_.id) : OrderedJson();
    json["threads"] = threads_;
    json["seconds"] = seconds;
    fmt::print("{}\n", json.dump(2));
  }

 private:
  void StopIfAsked() const {
    if (stop_.requested()) throw Error({.what = "interrupted", .hint = "nothing was written"});
  }

  void Add(std::string_view text, const std::string& file, ParallelEncoder* encoder) {
    const std::string name = fmt::format("{}: document {}", file, ++documents_read_);
    text_read_ += text.size();
    size_t begin = 0;
    if (split_.cut_document) {
      begin = CutForValidation(text, flags_.validation_fraction, file);
      split_ = {.first_document = 1};  // the second half
      encoder->Add(std::string(text.substr(0, begin)), name);
    }
    encoder->Add(std::string(text.substr(begin)), name);
  }

  // On a worker's thread.
  std::vector<int32_t> Encode(const std::string& text, const std::string& name) const {
    try {
      // With the special tokens that the tokenizer puts around a text, for these are what the model
      // will see in front of a prompt. Those that the text spells out become ids in any case.
      std::vector<int32_t> ids = tokenizer_.Encode(text, /*add_special=*/!flags_.no_special);
      const std::optional<int32_t> end = end_of_text_.id;
      if (end && (ids.empty() || ids.back() != *end)) ids.push_back(*end);
      return ids;
    } catch (const Error& error) {
      throw Error({.where = name, .what = error.what()});
    }
  }

  void Write(std::span<const int32_t> ids, uint64_t text_bytes) {
    const bool validates = documents_written_++ >= split_.first_document;
    (validates ? *validation_ : *train_).Append(ids, text_bytes);
    text_written_ += text_bytes;
  }

  // Reading is ahead of writing; how far, is known in bytes of text.
  void ShowProgress(Progress* progress) const {
    constexpr uint64_t kWorthARate = 1 << 20;  // bytes
    if (text_written_ < std::min(kWorthARate, text_read_)) return;
    const double share = static_cast<double>(text_written_) / static_cast<double>(text_read_);
    progress->Update(static_cast<uint64_t>(share * static_cast<double>(bytes_read_)),
                     1e-6 * static_cast<double>(text_written_), "");
  }

  std::vector<const Output*> Outputs() const {
    std::vector<const Output*> outputs = {&*train_};
    if (validation_) outputs.push_back(&*validation_);
    return outputs;
  }

  // First, so that from the first byte on Ctrl-C removes what is half-written.
  const StopSignal stop_{"\nstopping; press Ctrl-C again to quit at once\n"};
  const TokenizeFlags& flags_;
  Tokenizer tokenizer_;
  EndOfText end_of_text_;
  int threads_;
  ValidationSplit split_;
  std::optional<Output> train_;
  std::optional<Output> validation_;
  uint64_t bytes_total_ = 0;  // of the files as stored
  uint64_t bytes_read_ = 0;
  uint64_t documents_read_ = 0;
  uint64_t documents_written_ = 0;
  uint64_t text_read_ = 0;  // bytes
  uint64_t text_written_ = 0;
};

void Tokenize(const TokenizeFlags& flags) {
  CheckFlags(flags);
  const auto start = std::chrono::steady_clock::now();
  Tokenization tokenization(flags);
  tokenization.Run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (flags.json) {
    tokenization.PrintJson(seconds.count());
  } else {
    tokenization.PrintSummary(seconds.count());
  }
}

}  // namespace

void AddTokenizeCommand(CLI::App& app, Run& run) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App* sub = app.add_subcommand("tokenize", "Turn text into token shards to train on");
  sub->add_option("FILES", flags->files,
                  ".txt (one document), .jsonl (one a line, under \"text\"), or either with .zst")
      ->required();
  sub->add_option("--tokenizer", flags->tokenizer, "tokenizer.json, or a model directory")
      ->required();
  sub->add_option("--output", flags->output, "shard to write, named *.tokens")->required();
  sub->add_option("--end-of-text", flags->end_of_text,
                  fmt::format("token after each document; by default the first of {} that the "
                              "tokenizer has",
                              fmt::join(kEndOfText, ", ")));
  sub->add_flag("--no-special", flags->no_special,
                "put no special tokens in front of a document, which has its own, as the "
                "conversations of `stocha converse` do");
  sub->add_option("--threads", flags->threads, "0: all processors")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  sub->add_option("--validation-fraction", flags->validation_fraction,
                  "hold back this share of the documents, the last ones; of a single document, its "
                  "end, from a line break on")
      ->type_name("FLOAT")
      ->check(CLI::Range(0.0, 1.0));
  sub->add_option("--validation-output", flags->validation_output, "shard for what is held back");
  sub->add_flag("--json", flags->json, "print JSON");
  sub->footer(
      "Example:\n  stocha tokenize --tokenizer tokenizer.json --output train.tokens \\\n"
      "    --validation-fraction 0.05 --validation-output validation.tokens bible.txt");
  sub->callback([flags, &run] { run = [flags] { Tokenize(*flags); }; });
}

}  // namespace stocha
