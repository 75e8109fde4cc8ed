// Which part of a text is held back for validation: the last documents, or the end of the only one.
#ifndef STOCHA_DATA_VALIDATION_SPLIT_H_
#define STOCHA_DATA_VALIDATION_SPLIT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

namespace stocha {

struct ValidationSplit {
  uint64_t first_document = UINT64_MAX;  // of the validation; those before it are for training
  bool cut_document = false;             // there is one document: it is cut by CutForValidation
};

// The last `fraction` (in (0, 1)) of the documents of `files`, at least one, and one for training
// at least. Reads the files through to count, and calls `each_document`, which may throw to stop,
// at each document. Throws Error when there is none.
ValidationSplit SplitForValidation(std::span<const std::filesystem::path> files, double fraction,
                                   const std::function<void()>& each_document);

// Where the last `fraction` of `text` begins: after the first line break at or behind that share of
// the bytes, else after the last one before it. Throws Error, `where` at its head, when the text
// has no line break to cut at.
size_t CutForValidation(std::string_view text, double fraction, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_DATA_VALIDATION_SPLIT_H_
