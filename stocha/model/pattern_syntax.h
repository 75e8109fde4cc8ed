// Patterns of tokenizer files, which are written in Oniguruma's Ruby syntax, taken apart into
// syntax that PCRE2 shares and sets of code points that it need not understand.
//
// Read: literals, \p{..}, \s \d \w and their complements, classes (nested, with &&), groups,
// look-around, the flags i and m, lazy and possessive quantifiers, ^ and $. Refused: captures by
// name, back-references, \b, \h and other escapes, POSIX brackets, and ignoring the case of letters
// beyond ASCII.
#ifndef STOCHA_MODEL_PATTERN_SYNTAX_H_
#define STOCHA_MODEL_PATTERN_SYNTAX_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/model/unicode.h"

namespace stocha {

struct PatternItem {
  std::string syntax;         // as PCRE2 has it
  std::optional<size_t> set;  // instead: one character of sets[set]
};

struct PatternSyntax {
  std::vector<CodePointSet> sets;  // all different
  std::vector<PatternItem> items;
};

// Throws Error, `where` at its head, on what is not read. After each quantifier that may repeat
// often comes a callout, by which the matcher counts work.
PatternSyntax ParsePattern(std::string_view pattern, std::string_view where);

// A pattern that matches `text` itself.
PatternSyntax ParseLiteral(std::string_view text, std::string_view where);

}  // namespace stocha

#endif  // STOCHA_MODEL_PATTERN_SYNTAX_H_
