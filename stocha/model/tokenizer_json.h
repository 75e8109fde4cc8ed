// A tokenizer.json taken apart and checked; tokenizer.cc puts the parts to work.
#ifndef STOCHA_MODEL_TOKENIZER_JSON_H_
#define STOCHA_MODEL_TOKENIZER_JSON_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "stocha/model/added_tokens.h"
#include "stocha/model/bpe.h"
#include "stocha/model/pre_tokenizer.h"

namespace stocha {

struct TokenizerParts {
  StringMap<int32_t> vocabulary;  // by spelling, without added tokens; ids are distinct
  BytePairModel model;
  std::vector<AddedToken> added;  // ids agree with the vocabulary
  bool nfc = false;               // the normalizer; the only one besides none
  PreTokenizer pre_tokenizer;
  std::vector<int32_t> prefix;  // special tokens that the post-processor puts around a text
  std::vector<int32_t> suffix;
};

// Throws Error, `where` at its head, on broken JSON, contradictions, and all that is not done here.
TokenizerParts ParseTokenizerJson(std::string_view json, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_MODEL_TOKENIZER_JSON_H_
