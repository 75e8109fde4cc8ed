// Levenshtein's distance.
#ifndef STOCHA_BASE_EDIT_DISTANCE_H_
#define STOCHA_BASE_EDIT_DISTANCE_H_

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <vector>

namespace stocha {

// The fewest characters to insert, delete or replace that make `b` of `a`. O(|a| |b|) time.
template <typename Char>
size_t EditDistance(std::basic_string_view<Char> a, std::basic_string_view<Char> b) {
  std::vector<size_t> row(b.size() + 1);  // of the prefix of a that is done, to each prefix of b
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace stocha

#endif  // STOCHA_BASE_EDIT_DISTANCE_H_
