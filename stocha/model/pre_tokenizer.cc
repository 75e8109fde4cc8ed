#include "stocha/model/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// What GPT-2 splits by; "use_regex" of ByteLevel.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Digits goes by Rust's char::is_numeric, which is one Unicode version ahead of the patterns.
constexpr std::string_view kNumericPattern = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
    {"Isolated", SplitBehavior::kIsolated},
    {"Removed", SplitBehavior::kRemoved},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous}};

}  // namespace

PreTokenizer PreTokenizer::FromJson(const JsonObject& value) {
  PreTokenizer pre_tokenizer;
  pre_tokenizer.AddSteps(value, /*last=*/true);
  return pre_tokenizer;
}

// `last`: whether nothing comes after, so that ByteLevel must be the end of it.
void PreTokenizer::AddSteps(const JsonObject& value, bool last) {
  const std::string type = value.String("type");
  if (type == "Sequence") {
    const Json& parts = value.Array("pretokenizers");
    if (parts.empty()) value.Fail("pretokenizers", "at least one");
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string prefix = "pretokenizers[" + std::to_string(i) + "].";
      AddSteps({parts[i], value.where(), prefix}, last && i + 1 == parts.size());
    }
    return;
  }
  if (last != (type == "ByteLevel")) {
    value.Fail("type", "\"ByteLevel\" at the end, \"Split\" or \"Digits\" before",
               "only byte-level tokenizers are read");
  }
  if (type == "ByteLevel") {
    steps_.push_back(ByteLevelStep(value));
  } else if (type == "Digits") {
    steps_.push_back(DigitsStep(value));
  } else if (type == "Split") {
    steps_.push_back(SplitStep(value));
  } else {
    value.Fail("type", "\"Split\", \"Digits\", \"ByteLevel\" or \"Sequence\"");
  }
}

PreTokenizer::Step PreTokenizer::ByteLevelStep(const JsonObject& value) {
  Step step{.add_prefix_space = value.Bool("add_prefix_space")};
  if (value.BoolOr("use_regex", true)) {
    step.pattern = Pattern::FromRegex(kGpt2Pattern, value.where());
  }
  return step;
}

PreTokenizer::Step PreTokenizer::DigitsStep(const JsonObject& value) {
  return {.pattern = Pattern::FromRegex(kNumericPattern, value.where()),
          .behavior = value.BoolOr("individual_digits", false) ? SplitBehavior::kIsolated
                                                               : SplitBehavior::kContiguous};
}

PreTokenizer::Step PreTokenizer::SplitStep(const JsonObject& value) {
  const JsonObject pattern = value.Object("pattern");
  const std::string behavior = value.String("behavior");
  const auto* known = std::find_if(std::begin(kBehaviors), std::end(kBehaviors),
                                   [&](const auto& entry) { return entry.first == behavior; });
  if (known == std::end(kBehaviors)) {
    value.Fail("behavior", "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous");
  }
  return {.pattern = pattern.Has("String")
                         ? Pattern::FromLiteral(pattern.String("String"), value.where())
                         : Pattern::FromRegex(pattern.String("Regex"), value.where()),
          .behavior = known->second,
          .invert = value.BoolOr("invert", false)};
}

PieceSplitter::PieceSplitter(const PreTokenizer& pre_tokenizer)
    : pre_tokenizer_(&pre_tokenizer), states_(pre_tokenizer.steps_.size()) {
  for (size_t i = 0; i < states_.size(); ++i) {
    const PreTokenizer::Step& step = pre_tokenizer.steps_[i];
    if (step.pattern) states_[i].matcher.emplace(*step.pattern);
  }
}

void PieceSplitter::RunStep(size_t index, std::string_view text, const Emit& emit) {
  if (index == states_.size()) {
    if (!text.empty()) emit(text);
    return;
  }
  State& state = states_[index];
  if (pre_tokenizer_->steps_[index].add_prefix_space && !text.starts_with(' ')) {
    state.prefixed.assign(1, ' ').append(text);
    text = state.prefixed;
  }
  FindSpans(index, text);
  for (const Span& span : state.spans) {
    if (span.end > span.begin) {
      RunStep(index + 1, text.substr(span.begin, span.end - span.begin), emit);
    }
  }
}

// Joins each span that `joins(delimiter before it, delimiter)` to the one before.
void PieceSplitter::Join(std::vector<Span>* spans, bool (*joins)(bool, bool)) {
  size_t count = 0;
  bool before = false;
  for (const Span span : *spans) {
    if (count > 0 && joins(before, span.delimiter)) {
      Span& joined = (*spans)[count - 1];
      joined = {std::min(joined.begin, span.begin), std::max(joined.end, span.end), false};
    } else {
      (*spans)[count++] = span;
    }
    before = span.delimiter;
  }
  spans->resize(count);
}

// Fills the step's `spans` with the pieces of `text`.
void PieceSplitter::FindSpans(size_t index, std::string_view text) {
  const PreTokenizer::Step& step = pre_tokenizer_->steps_[index];
  State& state = states_[index];
  std::vector<Span>& spans = state.spans;
  spans.clear();
  if (!state.matcher) {
    spans.push_back({0, text.size(), false});
    return;
  }
  state.matcher->FindAll(text, &state.matches);
  // The delimiters and what lies between, all in order.
  size_t end = 0;
  for (const PatternMatcher::Match& match : state.matches) {
    if (match.begin > end) spans.push_back({end, match.begin, step.invert});
    spans.push_back({match.begin, match.end, !step.invert});
    end = match.end;
  }
  if (end < text.size()) spans.push_back({end, text.size(), step.invert});

  switch (step.behavior) {
    case SplitBehavior::kIsolated:
      break;
    case SplitBehavior::kRemoved:
      std::erase_if(spans, [](const Span& span) { return span.delimiter; });
      break;
    case SplitBehavior::kContiguous:
      Join(&spans, [](bool before, bool delimiter) { return before == delimiter; });
      break;
    case SplitBehavior::kMergedWithPrevious:
      Join(&spans, [](bool before, bool delimiter) { return delimiter && !before; });
      break;
    case SplitBehavior::kMergedWithNext:
      std::reverse(spans.begin(), spans.end());
      Join(&spans, [](bool before, bool delimiter) { return delimiter && !before; });
      std::reverse(spans.begin(), spans.end());
      break;
  }
}

}  // namespace stocha
