#define PCRE2_CODE_UNIT_WIDTH 8
#include "stocha/model/pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <map>
#include <new>
#include <optional>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"

namespace stocha {
namespace {

// Limits of one text. PCRE2 counts backtracking, afresh from each start, but not how far a repeat
// scans; the callouts that ParsePattern puts around repeats count that. The patterns of Llama 3 and
// GPT-4o come to 10 to 35 a character.
constexpr uint64_t kFreeWork = 1'000'000'000;
constexpr uint64_t kWorkPerCharacter = 500;
constexpr uint64_t kWorkPerCallout = 16;
constexpr uint64_t kFreeBacktracks = 10'000'000;
constexpr uint64_t kBacktracksPerCharacter = 8;
constexpr uint32_t kHeapLimitKib = 256 * 1024;
constexpr uint32_t kDepthLimit = 1'000'000;
constexpr size_t kMinJitStack = 32 * 1024;
constexpr size_t kMaxJitStack = 64 * 1024 * 1024;

constexpr size_t kMaxClasses = 256;

struct Work {
  uint64_t done = 0;
  uint64_t limit = 0;
  size_t last_position = 0;
};

int CountWork(pcre2_callout_block* block, void* data) {
  Work& work = *static_cast<Work*>(data);
  const size_t position = block->current_position;
  const size_t distance =
      std::max(position, work.last_position) - std::min(position, work.last_position);
  work.last_position = position;
  work.done += kWorkPerCallout + distance;
  return work.done > work.limit ? PCRE2_ERROR_CALLOUT : 0;
}

// Which of the sets a class lies in: [sets].
using Membership = std::vector<bool>;

struct Classes {
  std::vector<CodePointMap::Run> runs;
  std::vector<Membership> members;  // [classes]
};

// The coarsest classes such that each set is a union of some. nullopt: too many for a byte.
std::optional<Classes> Partition(const std::vector<CodePointSet>& sets) {
  std::vector<std::pair<char32_t, size_t>> borders;  // where membership in a set changes
  for (size_t set = 0; set < sets.size(); ++set) {
    for (const CodePointRange& range : sets[set].ranges()) {
      borders.emplace_back(range.first, set);
      borders.emplace_back(range.last + 1, set);
    }
  }
  std::sort(borders.begin(), borders.end());
  Classes classes;
  std::map<Membership, uint8_t> numbers;
  Membership membership(sets.size(), false);
  auto border = borders.begin();
  for (char32_t first = 0; first <= kMaxCodePoint;) {
    for (; border != borders.end() && border->first == first; ++border) {
      membership[border->second].flip();
    }
    const auto number = static_cast<uint8_t>(classes.members.size());
    const auto [entry, added] = numbers.try_emplace(membership, number);
    if (added && classes.members.size() == kMaxClasses) return std::nullopt;
    if (added) classes.members.push_back(membership);
    classes.runs.push_back({first, entry->second});
    first = border == borders.end() ? kMaxCodePoint + 1 : border->first;
  }
  return classes;
}

// The pattern over classes, as PCRE2 reads it.
std::string ToPcre2(const PatternSyntax& syntax, const std::vector<Membership>& members) {
  std::string pattern;
  for (const PatternItem& item : syntax.items) {
    pattern += item.syntax;
    if (!item.set) continue;
    std::string numbers;
    for (size_t number = 0; number < members.size(); ++number) {
      if (members[number][*item.set]) numbers += fmt::format("\\x{:02x}", number);
    }
    pattern += numbers.empty() ? "[^\\x00-\\xff]" : "[" + numbers + "]";
  }
  return pattern;
}

pcre2_code* CompilePcre2(const std::string& pattern, std::string_view source,
                         std::string_view where) {
  int error = 0;
  size_t offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), 0,
                                   &error, &offset, nullptr);
  if (code != nullptr) {
    // Where machine code may not be made, PCRE2 interprets instead: slower, the same matches.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    return code;
  }
  PCRE2_UCHAR message[256] = {};
  pcre2_get_error_message(error, message, sizeof(message));
  throw Error(
      {.where = std::string(where),
       .what = std::string("pattern refused by PCRE2: ") + reinterpret_cast<const char*>(message),
       .got = std::string(source)});
}

uint32_t Saturate(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX));
}

}  // namespace

void Pattern::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Pattern::Pattern(CodePointMap classes, pcre2_real_code_8* code, std::string_view source,
                 std::string_view where)
    : classes_(std::move(classes)), code_(code), source_(source), where_(where) {}

Pattern Pattern::Build(const PatternSyntax& syntax, std::string_view source,
                       std::string_view where) {
  const std::optional<Classes> classes = Partition(syntax.sets);
  if (!classes) {
    throw Error({.where = std::string(where),
                 .what = "pattern tells more kinds of characters apart than a byte can count",
                 .got = std::string(source)});
  }
  const std::string pattern = ToPcre2(syntax, classes->members);
  return {CodePointMap(classes->runs), CompilePcre2(pattern, source, where), source, where};
}

Pattern Pattern::FromRegex(std::string_view regex, std::string_view where) {
  return Build(ParsePattern(regex, where), regex, where);
}

Pattern Pattern::FromLiteral(std::string_view text, std::string_view where) {
  return Build(ParseLiteral(text, where), text, where);
}

void PatternMatcher::Free::operator()(pcre2_real_match_data_8* data) const {
  pcre2_match_data_free(data);
}

void PatternMatcher::Free::operator()(pcre2_real_match_context_8* context) const {
  pcre2_match_context_free(context);
}

void PatternMatcher::Free::operator()(pcre2_real_jit_stack_8* stack) const {
  pcre2_jit_stack_free(stack);
}

PatternMatcher::PatternMatcher(const Pattern& pattern)
    : pattern_(&pattern),
      data_(pcre2_match_data_create(1, nullptr)),
      stack_(pcre2_jit_stack_create(kMinJitStack, kMaxJitStack, nullptr)),
      context_(pcre2_match_context_create(nullptr)) {
  if (data_ == nullptr || context_ == nullptr) throw std::bad_alloc();
  pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
  pcre2_set_heap_limit(context_.get(), kHeapLimitKib);
  pcre2_set_depth_limit(context_.get(), kDepthLimit);
}

void PatternMatcher::FindAll(std::string_view text, std::vector<Match>* matches) {
  matches->clear();
  subject_.clear();
  for (std::string_view rest = text; !rest.empty();) {
    const Utf8Step step = DecodeUtf8(rest);
    subject_.push_back(pattern_->classes_[step.code_point]);
    rest.remove_prefix(step.length);
  }
  Work work{.limit = kFreeWork + kWorkPerCharacter * subject_.size()};
  pcre2_set_callout(context_.get(), CountWork, &work);
  pcre2_set_match_limit(context_.get(),
                        Saturate(kFreeBacktracks + kBacktracksPerCharacter * subject_.size()));

  size_t character = 0;  // the place in the text reached so far, in characters and in bytes
  size_t byte = 0;
  const auto to_bytes = [&](size_t target) {
    for (; character < target; ++character) byte += DecodeUtf8(text.substr(byte)).length;
    return byte;
  };
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
  std::optional<size_t> last_end;  // of the match before
  for (size_t start = 0; start <= subject_.size();) {
    const int found = pcre2_match(pattern_->code_.get(), subject_.data(), subject_.size(), start, 0,
                                  data_.get(), context_.get());
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0) {
      throw Error({.where = pattern_->where_,
                   .what = fmt::format("pattern takes too much work on a text of {} characters "
                                       "(PCRE2 error {})",
                                       subject_.size(), found),
                   .got = pattern_->source_,
                   .hint = "use a pattern that does not backtrack this much"});
    }
    if (bounds[0] == bounds[1] && last_end == bounds[1]) {
      ++start;
      continue;
    }
    const size_t begin = to_bytes(bounds[0]);
    matches->push_back({begin, to_bytes(bounds[1])});
    last_end = start = bounds[1];
  }
}

}  // namespace stocha
