// Ignoring case as Oniguruma does, for ASCII letters. What else has a case is known but not folded.
#ifndef STOCHA_MODEL_CASE_FOLDING_H_
#define STOCHA_MODEL_CASE_FOLDING_H_

#include <optional>

#include "stocha/model/unicode.h"

namespace stocha {

// `set` with both cases of its ASCII letters, and the characters beyond ASCII that fold to one of
// them. nullopt when it holds other characters that may have a case.
std::optional<CodePointSet> IgnoreCase(const CodePointSet& set);

// Whether a ligature (U+FB01 for "fi", U+00DF for "ss" ...) matches these letters in a row as well.
bool FoldsToLigature(char32_t first, char32_t second);

}  // namespace stocha

#endif  // STOCHA_MODEL_CASE_FOLDING_H_
