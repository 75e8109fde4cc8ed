// For tests: whether markup's tags balance, and its text and attributes are escaped.
#ifndef STOCHA_REPORT_WELL_FORMED_H_
#define STOCHA_REPORT_WELL_FORMED_H_

#include <string>
#include <string_view>
#include <vector>

namespace stocha {

// "" when every element is closed in order and no "<" or "&" stands free; else what is wrong. Knows
// no comments, no CDATA; a leading <!DOCTYPE> is allowed.
inline std::string WhatIsMalformed(std::string_view markup) {
  std::vector<std::string> open;
  for (size_t i = 0; i < markup.size();) {
    if (markup[i] == '&') {
      const size_t end = markup.find(';', i);
      if (end == std::string_view::npos || end - i > 6) return "free &";
      i = end + 1;
      continue;
    }
    if (markup[i] != '<') {
      ++i;
      continue;
    }
    const size_t end = markup.find('>', i);
    if (end == std::string_view::npos) return "unclosed tag";
    const std::string_view tag = markup.substr(i + 1, end - i - 1);
    if (tag.find('<') != std::string_view::npos) return "free < in " + std::string(tag);
    i = end + 1;
    const std::string name(tag.substr(0, tag.find_first_of(" /\n", 1)));
    if (tag.starts_with("/")) {
      if (open.empty() || "/" + open.back() != tag) return "unexpected <" + std::string(tag) + ">";
      open.pop_back();
    } else if (!tag.ends_with("/") && name != "!DOCTYPE") {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> left open";
}

// How often `part` stands in `text`.
inline int CountOf(std::string_view text, std::string_view part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace stocha

#endif  // STOCHA_REPORT_WELL_FORMED_H_
