// Documents out of the files people have: .txt (one document), .jsonl (one a line, under a key,
// "text" most often), and either compressed with zstd (.zst). Streams: memory stays bounded by the
// longest document.
#ifndef STOCHA_DATA_TEXT_READER_H_
#define STOCHA_DATA_TEXT_READER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace stocha {

struct TextProgress {
  uint64_t bytes_read;  // of the file as stored
  uint64_t bytes_total;
};

// The longest document.
inline constexpr uint64_t kMaxDocumentBytes = uint64_t{1} << 30;

// The size of the file as stored. Throws Error when it is missing or has an unknown ending.
uint64_t TextFileBytes(const std::filesystem::path& path);

// Calls `document` for each non-empty document in order; the text of a .txt may hold any bytes.
// Throws Error naming file and line: missing file, unknown ending, broken zstd stream, a line that
// is no JSON object with a string under `key`, a document longer than kMaxDocumentBytes.
void ReadDocuments(const std::filesystem::path& path,
                   const std::function<void(std::string_view text, TextProgress)>& document,
                   std::string_view key = "text");

}  // namespace stocha

#endif  // STOCHA_DATA_TEXT_READER_H_
