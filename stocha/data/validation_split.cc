#include "stocha/data/validation_split.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "stocha/base/error.h"
#include "stocha/data/text_reader.h"

namespace stocha {

ValidationSplit SplitForValidation(std::span<const std::filesystem::path> files, double fraction,
                                   const std::function<void()>& each_document) {
  uint64_t documents = 0;
  for (const std::filesystem::path& file : files) {
    ReadDocuments(file, [&](std::string_view, TextProgress) {
      each_document();
      ++documents;
    });
  }
  if (documents == 0) throw Error({.where = files.front().string(), .what = "no text"});
  if (documents == 1) return {.cut_document = true};
  const auto wanted =
      static_cast<uint64_t>(std::llround(fraction * static_cast<double>(documents)));
  return {.first_document = documents - std::clamp<uint64_t>(wanted, 1, documents - 1)};
}

size_t CutForValidation(std::string_view text, double fraction, std::string_view where) {
  const auto share = static_cast<size_t>((1 - fraction) * static_cast<double>(text.size()));
  size_t cut = text.find('\n', share) + 1;  // npos + 1 is 0
  // A line break at the very end leaves nothing behind it.
  if (cut == 0 || cut == text.size()) cut = text.substr(0, share).rfind('\n') + 1;
  if (cut == 0) {
    throw Error({.where = std::string(where),
                 .what = "one document without a line break to cut at",
                 .hint = "split it into documents, or give a file for validation of its own"});
  }
  return cut;
}

}  // namespace stocha
