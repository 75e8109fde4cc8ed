// The text of an experiment as token shards, made once.
#ifndef STOCHA_EXPERIMENT_TEXT_SHARDS_H_
#define STOCHA_EXPERIMENT_TEXT_SHARDS_H_

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "stocha/experiment/experiment.h"

namespace stocha {

// Gives every group its model: one that leaves vocab_size to its tokenizer has that number, one
// that starts from another has its shape. Throws Error when tokenizer or config.json cannot be
// read.
void CompleteModels(Experiment* experiment);

// Makes FOLDER/train.tokens and validation.tokens with `stocha tokenize` unless they are there, and
// returns what they are: names and SHA-256 of tokenizer and files, and the shards' tokens. Throws
// Error when the folder's were made from something else, and when the text cannot be read or
// `stop_requested` (may be empty) says so.
nlohmann::ordered_json MakeShards(const ExperimentText& text, const std::filesystem::path& folder,
                                  const std::filesystem::path& stocha,
                                  const std::function<bool()>& stop_requested);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_TEXT_SHARDS_H_
