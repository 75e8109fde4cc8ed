#include "stocha/data/text_reader.h"

#include <fmt/format.h>
#include <zstd.h>

#include <memory>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

using DocumentCallback = std::function<void(std::string_view text, TextProgress)>;
using BlockCallback = std::function<void(std::string_view block, uint64_t bytes_read)>;

constexpr size_t kBlockBytes = 1 << 20;

enum class Format { kText, kJsonLines };

bool IsCompressed(const fs::path& path) { return path.extension() == ".zst"; }

Format FormatOf(const fs::path& path) {
  const fs::path ending = (IsCompressed(path) ? path.stem() : path).extension();
  if (ending == ".txt") return Format::kText;
  if (ending == ".jsonl") return Format::kJsonLines;
  throw Error({.where = path.string(),
               .what = "unknown kind of text",
               .got = "\"" + path.filename().string() + "\"",
               .expected = "a name ending in .txt, .jsonl, .txt.zst or .jsonl.zst",
               .hint = "rename the file after what it holds"});
}

// Puts blocks of a stream together to documents.
class DocumentBuilder {
 public:
  DocumentBuilder(const fs::path& path, Format format, uint64_t bytes_total,
                  const DocumentCallback& document, std::string_view key)
      : path_(path.string()),
        format_(format),
        document_(document),
        key_(key),
        progress_{0, bytes_total} {}

  void Add(std::string_view block, uint64_t bytes_read) {
    progress_.bytes_read = bytes_read;
    while (format_ == Format::kJsonLines) {
      const size_t end = block.find('\n');
      if (end == std::string_view::npos) break;
      Keep(block.substr(0, end));
      EndLine();
      block.remove_prefix(end + 1);
    }
    Keep(block);
  }

  void Finish() {
    if (format_ == Format::kJsonLines) {
      EndLine();
    } else if (!pending_.empty()) {
      document_(pending_, progress_);
    }
  }

 private:
  void Keep(std::string_view part) {
    if (part.size() > kMaxDocumentBytes - pending_.size()) {
      throw Error({.where = format_ == Format::kText ? path_ : LineName(),
                   .what = "document too long",
                   .expected = fmt::format("at most {} bytes", kMaxDocumentBytes),
                   .hint = "split it, e.g. into one JSON line a chapter"});
    }
    pending_ += part;
  }

  void EndLine() {
    if (pending_.find_first_not_of(" \t\r") != std::string::npos) {
      const std::string name = LineName();
      const Json value = ParseJson(pending_, name);
      const std::string text = JsonObject(value, name).String(key_);
      if (!text.empty()) document_(text, progress_);
    }
    pending_.clear();
    ++line_;
  }

  std::string LineName() const { return fmt::format("{}:{}", path_, line_); }

  std::string path_;
  Format format_;
  const DocumentCallback& document_;
  std::string_view key_;
  TextProgress progress_;
  std::string pending_;  // of the document, or the line, that is not whole yet
  uint64_t line_ = 1;
};

void ReadPlain(std::string_view bytes, const BlockCallback& block) {
  for (size_t begin = 0; begin < bytes.size(); begin += kBlockBytes) {
    const std::string_view part = bytes.substr(begin, kBlockBytes);
    block(part, begin + part.size());
  }
}

void ReadZstd(std::string_view bytes, const fs::path& path, const BlockCallback& block) {
  const auto fail = [&](const std::string& what) {
    throw Error({.where = path.string(),
                 .what = "broken zstd stream: " + what,
                 .hint = "check it with: zstd --test"});
  };
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                     &ZSTD_freeDCtx);
  if (context == nullptr) throw std::bad_alloc();
  std::vector<char> buffer(kBlockBytes);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  size_t wanted = 1;         // 0 at the end of a frame; a stream is one or more frames
  bool buffer_full = false;  // then there may be output left without any input
  while (in.pos < in.size || (buffer_full && wanted != 0)) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    wanted = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(wanted) != 0) fail(ZSTD_getErrorName(wanted));
    buffer_full = out.pos == out.size;
    block({buffer.data(), out.pos}, in.pos);
  }
  if (wanted != 0) fail("it ends too early");
}

}  // namespace

uint64_t TextFileBytes(const fs::path& path) {
  FormatOf(path);
  return MappedFile::Open(path).bytes().size();
}

void ReadDocuments(const fs::path& path, const DocumentCallback& document, std::string_view key) {
  const Format format = FormatOf(path);
  const MappedFile file = MappedFile::Open(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  DocumentBuilder builder(path, format, bytes.size(), document, key);
  const BlockCallback add = [&](std::string_view block, uint64_t bytes_read) {
    builder.Add(block, bytes_read);
  };
  if (IsCompressed(path)) {
    ReadZstd(bytes, path, add);
  } else {
    ReadPlain(bytes, add);
  }
  builder.Finish();
}

}  // namespace stocha
