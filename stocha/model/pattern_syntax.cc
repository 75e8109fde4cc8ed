#include "stocha/model/pattern_syntax.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"
#include "stocha/model/case_folding.h"

namespace stocha {
namespace {

constexpr size_t kMaxPatternBytes = 16384;
constexpr size_t kMaxSets = 256;
constexpr size_t kMaxGroupDepth = 64;
constexpr int kMaxClassDepth = 16;
constexpr int kUnlimited = std::numeric_limits<int>::max();
constexpr int kMaxRepeat = 65535;  // PCRE2's own limit
constexpr int kFreeRepeats = 16;   // repeating no more often than this is little work
constexpr std::pair<char, char32_t> kControls[] = {
    {'a', '\a'}, {'e', 0x1B}, {'f', '\f'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'v', '\v'}};
constexpr std::string_view kCallout = "(?C)";  // counts work, see pattern.cc

CodePointSet Single(char32_t code_point) { return CodePointSet({{code_point, code_point}}); }

// \w of Oniguruma, which outside of classes takes the superscripts and fractions of Latin-1 for
// digits.
CodePointSet OnigurumaWordSet(bool in_class) {
  if (in_class) return WordSet();
  return WordSet().Union(CodePointSet({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}}));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A bound of "{2,3}": `fallback` where nothing is written, nullopt where it is no number.
std::optional<int> ParseBound(std::string_view text, int fallback) {
  if (text.empty()) return fallback;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || value < 0 || value > kMaxRepeat) return std::nullopt;
  return value;
}

class PatternParser {
 public:
  PatternParser(std::string_view pattern, std::string_view where)
      : pattern_(pattern), where_(where), rest_(pattern) {}

  PatternSyntax Parse();
  PatternSyntax ParseLiteral();

 private:
  struct Flags {
    bool ignore_case = false;
    bool dot_all = false;
  };
  struct Group {
    Flags outer;          // restored when the group ends
    size_t begin = 0;     // the item that opens it
    size_t implicit = 0;  // groups opened by "(?i)", which end with this one
  };
  // An escape or a plain character: a single code point, or a set.
  struct Element {
    char32_t code_point = 0;
    std::optional<CodePointSet> set = std::nullopt;
  };

  void ParseItem();
  void OpenGroup();
  void CloseGroup();
  void ParseQuantifier();
  CodePointSet ParseClass(int depth);
  Element ParseElement(bool in_class);
  CodePointSet ParseProperty(bool negated);
  char32_t ParseHex(size_t min_digits, size_t max_digits);
  void ParseInterval();

  void AddSyntax(std::string_view syntax);
  void AddQuantifier(const std::string& quantifier, int max);
  void AddSet(const CodePointSet& set);
  void AddLiteral(char32_t code_point);

  CodePointSet Fold(const CodePointSet& set) const;
  bool Accept(std::string_view text);
  char32_t Next();
  [[noreturn]] void Fail(const std::string& what) const;

  std::string_view pattern_;
  std::string_view where_;
  std::string_view rest_;
  PatternSyntax syntax_;
  std::vector<Group> groups_ = {Group()};  // the first is the whole pattern
  Flags flags_;
  std::optional<size_t> repeatable_;  // where the item begins that a quantifier would repeat
  char32_t previous_literal_ = 0;     // the literal just read, if that came last
};

void PatternParser::Fail(const std::string& what) const {
  throw Error({.where = std::string(where_),
               .what = "pattern not understood at byte " +
                       std::to_string(pattern_.size() - rest_.size()) + ": " + what,
               .got = std::string(pattern_)});
}

bool PatternParser::Accept(std::string_view text) {
  if (!rest_.starts_with(text)) return false;
  rest_.remove_prefix(text.size());
  return true;
}

char32_t PatternParser::Next() {
  if (rest_.empty()) Fail("it ends too early");
  const Utf8Step step = DecodeUtf8(rest_);
  rest_.remove_prefix(step.length);
  return step.code_point;
}

void PatternParser::AddSyntax(std::string_view syntax) {
  syntax_.items.push_back({.syntax = std::string(syntax)});
  repeatable_.reset();
  previous_literal_ = 0;
}

void PatternParser::AddSet(const CodePointSet& set) {
  const auto known = std::find(syntax_.sets.begin(), syntax_.sets.end(), set);
  const auto index = static_cast<size_t>(known - syntax_.sets.begin());
  if (index == kMaxSets) Fail("too many different characters");
  if (known == syntax_.sets.end()) syntax_.sets.push_back(set);
  syntax_.items.push_back({.set = index});
  repeatable_ = syntax_.items.size() - 1;
  previous_literal_ = 0;
}

void PatternParser::AddLiteral(char32_t code_point) {
  if (flags_.ignore_case && FoldsToLigature(previous_literal_, code_point)) {
    Fail("these letters have a ligature, which is not known where case is ignored");
  }
  AddSet(flags_.ignore_case ? Fold(Single(code_point)) : Single(code_point));
  previous_literal_ = code_point;
}

// A repeat of one set is bracketed by callouts, which show how far it scanned; a repeated group
// calls out each time around.
void PatternParser::AddQuantifier(const std::string& quantifier, int max) {
  const size_t begin = *repeatable_;
  AddSyntax(quantifier);
  if (max <= kFreeRepeats) return;
  const size_t inside = syntax_.items[begin].set ? begin : begin + 1;
  syntax_.items.insert(syntax_.items.begin() + static_cast<ptrdiff_t>(inside),
                       {.syntax = std::string(kCallout)});
  AddSyntax(kCallout);
}

CodePointSet PatternParser::Fold(const CodePointSet& set) const {
  const std::optional<CodePointSet> folded = IgnoreCase(set);
  if (!folded) Fail("ignoring the case of characters beyond ASCII");
  return *folded;
}

void PatternParser::OpenGroup() {
  if (groups_.size() > kMaxGroupDepth) Fail("groups nested too deep");
  const Group group{.outer = flags_, .begin = syntax_.items.size()};
  for (const std::string_view look : {"?=", "?!", "?<=", "?<!", "?>"}) {
    if (Accept(look)) {
      groups_.push_back(group);
      return AddSyntax("(" + std::string(look));
    }
  }
  if (Accept("?")) {
    bool on = true;
    while (!Accept(":")) {
      if (Accept(")")) {
        // The flags hold, and bind what follows together, up to the end of the group around.
        ++groups_.back().implicit;
        return AddSyntax("(?:");
      }
      if (Accept("-")) {
        on = false;
      } else if (Accept("i")) {
        flags_.ignore_case = on;
      } else if (Accept("m")) {
        flags_.dot_all = on;
      } else {
        Fail("this kind of group");
      }
    }
  }
  groups_.push_back(group);
  AddSyntax("(?:");
}

void PatternParser::CloseGroup() {
  if (groups_.size() == 1) Fail("a ) without its (");
  AddSyntax(std::string(groups_.back().implicit + 1, ')'));
  repeatable_ = groups_.back().begin;
  flags_ = groups_.back().outer;
  groups_.pop_back();
}

// What follows "{".
void PatternParser::ParseInterval() {
  const size_t length = rest_.find('}');
  if (length == std::string_view::npos) Fail("a { without its }");
  const std::string_view bounds = rest_.substr(0, length);
  const size_t comma = bounds.find(',');
  const bool exact = comma == std::string_view::npos;
  const std::optional<int> min = ParseBound(bounds.substr(0, comma), 0);
  const std::optional<int> max = exact ? min : ParseBound(bounds.substr(comma + 1), kUnlimited);
  if (bounds.empty() || bounds == "," || !min || !max || *min > *max) Fail("bounds of a repeat");
  rest_.remove_prefix(length + 1);
  // Oniguruma reads "{2}?" as optional and "{2,3}+" as a repeat of a repeat.
  if (rest_.starts_with("+") || (exact && rest_.starts_with("?"))) Fail("this sign after {..}");
  std::string quantifier = "{" + std::to_string(*min) + ",";
  if (*max != kUnlimited) quantifier += std::to_string(*max);
  quantifier += Accept("?") ? "}?" : "}";
  AddQuantifier(quantifier, *max);
}

void PatternParser::ParseQuantifier() {
  if (!repeatable_) Fail("nothing that could be repeated");
  const char first = static_cast<char>(Next());
  if (first == '{') return ParseInterval();
  std::string quantifier(1, first);
  if (rest_.starts_with("?") || rest_.starts_with("+")) quantifier += static_cast<char>(Next());
  AddQuantifier(quantifier, first == '?' ? 1 : kUnlimited);
}

char32_t PatternParser::ParseHex(size_t min_digits, size_t max_digits) {
  char32_t value = 0;
  size_t digits = 0;
  while (digits < max_digits && !rest_.empty() && HexDigit(rest_[0]) >= 0) {
    value = value << 4 | static_cast<char32_t>(HexDigit(rest_[0]));
    rest_.remove_prefix(1);
    ++digits;
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (digits < min_digits || value > kMaxCodePoint || surrogate) Fail("this is no code point");
  return value;
}

CodePointSet PatternParser::ParseProperty(bool negated) {
  if (!Accept("{")) Fail("\\p without {");
  const bool inverted = Accept("^");
  const size_t length = std::min(rest_.find('}'), rest_.size());
  const std::optional<CodePointSet> set = CategorySet(rest_.substr(0, length));
  if (!set) Fail("a property that is no general category, such as \\p{L} or \\p{Lu}");
  rest_.remove_prefix(length);
  if (!Accept("}")) Fail("\\p{ without }");
  return negated != inverted ? set->Complement() : *set;
}

PatternParser::Element PatternParser::ParseElement(bool in_class) {
  char32_t code_point = Next();
  if (code_point != '\\') return {.code_point = code_point};
  code_point = Next();
  for (const auto& [letter, control] : kControls) {
    if (code_point == static_cast<char32_t>(letter)) return {.code_point = control};
  }
  switch (code_point) {
    case 's':
      return {.set = WhiteSpaceSet()};
    case 'S':
      return {.set = WhiteSpaceSet().Complement()};
    case 'd':
      return {.set = CategorySet("Nd")};
    case 'D':
      return {.set = CategorySet("Nd")->Complement()};
    case 'w':
      return {.set = OnigurumaWordSet(in_class)};
    case 'W':
      return {.set = OnigurumaWordSet(in_class).Complement()};
    case 'p':
      return {.set = ParseProperty(false)};
    case 'P':
      return {.set = ParseProperty(true)};
    case 'u':
      return {.code_point = ParseHex(4, 4)};
    case 'x': {
      const bool braces = Accept("{");
      const char32_t value = braces ? ParseHex(1, 8) : ParseHex(2, 2);
      if (braces && !Accept("}")) Fail("\\x{ without }");
      if (!braces && value > 0x7F) Fail("\\x of a byte that is no character");
      return {.code_point = value};
    }
    default:
      if (code_point < 0x80 && std::isalnum(static_cast<int>(code_point)) != 0) {
        Fail("the escape \\" + std::string(1, static_cast<char>(code_point)));
      }
      return {.code_point = code_point};
  }
}

CodePointSet PatternParser::ParseClass(int depth) {
  if (depth > kMaxClassDepth) Fail("classes nested too deep");
  const bool negated = Accept("^");
  if (rest_.starts_with("]")) Fail("a class of nothing");
  std::optional<CodePointSet> intersection;  // of what stood before each &&
  std::vector<CodePointRange> ranges;        // since then
  const auto add = [&ranges](const CodePointSet& set) {
    ranges.insert(ranges.end(), set.ranges().begin(), set.ranges().end());
  };
  const auto take = [&] {
    CodePointSet set(std::exchange(ranges, {}));
    return intersection ? intersection->Intersection(set) : set;
  };
  while (!Accept("]")) {
    if (rest_.starts_with("[:")) Fail("a POSIX bracket");
    if (Accept("&&")) {
      intersection = take();
    } else if (Accept("[")) {
      add(ParseClass(depth + 1));
    } else {
      const Element first = ParseElement(true);
      const bool range = rest_.starts_with("-") && !rest_.starts_with("-]");
      if (range) Accept("-");
      const Element last = range ? ParseElement(true) : first;
      if (range && (first.set || last.set || last.code_point < first.code_point)) {
        Fail("this is no range");
      }
      add(first.set ? *first.set : CodePointSet({{first.code_point, last.code_point}}));
    }
  }
  CodePointSet set = take();
  if (flags_.ignore_case) set = Fold(set);
  return negated ? set.Complement() : set;
}

void PatternParser::ParseItem() {
  const CodePointSet line_feed = Single('\n');
  if (Accept("(")) return OpenGroup();
  if (Accept(")")) return CloseGroup();
  if (Accept("|")) return AddSyntax("|");
  if (rest_.find_first_of("*+?{") == 0) return ParseQuantifier();
  if (Accept("[")) return AddSet(ParseClass(1));
  if (Accept(".")) return AddSet((flags_.dot_all ? CodePointSet() : line_feed).Complement());
  if (Accept("^")) {
    AddSyntax("(?:\\A|(?<=");
    AddSet(line_feed);
    return AddSyntax(")(?!\\z))");
  }
  if (Accept("$")) {
    AddSyntax("(?:\\z|(?=");
    AddSet(line_feed);
    return AddSyntax("))");
  }
  const Element element = ParseElement(false);
  if (!element.set) return AddLiteral(element.code_point);
  AddSet(flags_.ignore_case ? Fold(*element.set) : *element.set);
}

PatternSyntax PatternParser::Parse() {
  if (pattern_.size() > kMaxPatternBytes) Fail("too long");
  while (!rest_.empty()) ParseItem();
  if (groups_.size() > 1) Fail("a ( without its )");
  AddSyntax(std::string(groups_.back().implicit, ')'));
  return std::move(syntax_);
}

PatternSyntax PatternParser::ParseLiteral() {
  if (pattern_.size() > kMaxPatternBytes) Fail("too long");
  while (!rest_.empty()) AddLiteral(Next());
  return std::move(syntax_);
}

}  // namespace

PatternSyntax ParsePattern(std::string_view pattern, std::string_view where) {
  return PatternParser(pattern, where).Parse();
}

PatternSyntax ParseLiteral(std::string_view text, std::string_view where) {
  return PatternParser(text, where).ParseLiteral();
}

}  // namespace stocha
