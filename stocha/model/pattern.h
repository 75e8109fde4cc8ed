// A regular expression of a tokenizer file, matched by PCRE2.
//
// PCRE2 sees neither Unicode nor the text itself: characters that the pattern does not tell apart
// form a class, and each character of the text becomes the number of its class, one byte. So \p{L}
// is what `tokenizers` takes it for, whatever Unicode this PCRE2 knows, and a set of 700 ranges
// costs a lookup.
#ifndef STOCHA_MODEL_PATTERN_H_
#define STOCHA_MODEL_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/model/pattern_syntax.h"
#include "stocha/model/unicode.h"

struct pcre2_real_code_8;
struct pcre2_real_jit_stack_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;

namespace stocha {

// Immutable and thread-safe.
class Pattern {
 public:
  // Throw Error, `where` at its head, on what pattern_syntax.h or PCRE2 refuses.
  static Pattern FromRegex(std::string_view regex, std::string_view where);
  static Pattern FromLiteral(std::string_view text, std::string_view where);

 private:
  friend class PatternMatcher;
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };

  Pattern(CodePointMap classes, pcre2_real_code_8* code, std::string_view source,
          std::string_view where);
  static Pattern Build(const PatternSyntax& syntax, std::string_view source,
                       std::string_view where);

  CodePointMap classes_;
  std::unique_ptr<pcre2_real_code_8, Free> code_;
  std::string source_;  // for errors
  std::string where_;
};

// What one thread needs to match a pattern, kept from one text to the next. Borrows the pattern.
class PatternMatcher {
 public:
  struct Match {
    size_t begin;  // bytes
    size_t end;
  };

  explicit PatternMatcher(const Pattern& pattern);

  // All matches in `text` (UTF-8) from left to right, as Oniguruma's find_iter gives them: an empty
  // match right after a match is skipped. Throws Error when the pattern needs more work than a sane
  // one would, be it by backtracking or by scanning the text again and again.
  void FindAll(std::string_view text, std::vector<Match>* matches);

 private:
  struct Free {
    void operator()(pcre2_real_match_data_8* data) const;
    void operator()(pcre2_real_match_context_8* context) const;
    void operator()(pcre2_real_jit_stack_8* stack) const;
  };

  const Pattern* pattern_;
  std::vector<uint8_t> subject_;  // [characters], classes
  std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  std::unique_ptr<pcre2_real_jit_stack_8, Free> stack_;
  std::unique_ptr<pcre2_real_match_context_8, Free> context_;
};

}  // namespace stocha

#endif  // STOCHA_MODEL_PATTERN_H_
