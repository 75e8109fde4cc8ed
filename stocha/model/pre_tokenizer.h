// Cuts text into the pieces within which byte pairs are merged: "pre_tokenizer" of tokenizer.json.
// Split, Digits, ByteLevel, and Sequences of these that end with ByteLevel.
#ifndef STOCHA_MODEL_PRE_TOKENIZER_H_
#define STOCHA_MODEL_PRE_TOKENIZER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/json.h"
#include "stocha/model/pattern.h"

namespace stocha {

// What becomes of the matches of a pattern, which are the delimiters between pieces.
enum class SplitBehavior : uint8_t {
  kIsolated,            // each is a piece
  kRemoved,             // dropped
  kMergedWithPrevious,  // joined to the piece before
  kMergedWithNext,      // joined to the piece after
  kContiguous,          // neighbouring matches are one piece
};

// Immutable and thread-safe.
class PreTokenizer {
 public:
  // Throws Error, `where` at its head, on kinds other than the above and patterns not understood.
  static PreTokenizer FromJson(const JsonObject& value);

 private:
  friend class PieceSplitter;
  struct Step {
    bool add_prefix_space = false;   // put a space in front unless there is one
    std::optional<Pattern> pattern;  // none: leave the text whole
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;  // what lies between the matches is the delimiter
  };

  static Step ByteLevelStep(const JsonObject& value);
  static Step DigitsStep(const JsonObject& value);
  static Step SplitStep(const JsonObject& value);
  void AddSteps(const JsonObject& value, bool last);

  std::vector<Step> steps_;
};

// What one thread needs to run a pre-tokenizer. Borrows it.
class PieceSplitter {
 public:
  using Emit = std::function<void(std::string_view piece)>;  // the piece lives during the call

  explicit PieceSplitter(const PreTokenizer& pre_tokenizer);

  // Calls `emit` for each piece of `text` (UTF-8), from left to right; none is empty. Throws Error
  // when a pattern takes too much work.
  void Split(std::string_view text, const Emit& emit) { RunStep(0, text, emit); }

 private:
  struct Span {
    size_t begin;
    size_t end;
    bool delimiter;
  };
  struct State {
    std::optional<PatternMatcher> matcher;
    std::vector<PatternMatcher::Match> matches;
    std::vector<Span> spans;
    std::string prefixed;
  };

  void RunStep(size_t index, std::string_view text, const Emit& emit);
  void FindSpans(size_t index, std::string_view text);
  static void Join(std::vector<Span>* spans, bool (*joins)(bool before, bool delimiter));

  const PreTokenizer* pre_tokenizer_;
  std::vector<State> states_;  // [steps]
};

}  // namespace stocha

#endif  // STOCHA_MODEL_PRE_TOKENIZER_H_
