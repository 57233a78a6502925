#include "core/nearest.h"

#include <algorithm>
#include <vector>

namespace tt {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/*! The length of the longest common subsequence, whatever the case of letters. */
size_t CommonLetters(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1, 0);
  for (const char letter : a) {
    size_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = Lower(letter) == Lower(b[j]) ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

// Whoever types more than any name is long means none, and may not cost quadratic time.
constexpr size_t kLongestTyped = 256;

}  // namespace

std::string DidYouMean(std::string_view typed, std::span<const std::string_view> names) {
  if (typed.size() > kLongestTyped) return "";
  std::string_view nearest;
  size_t most = 0;
  for (const std::string_view name : names) {
    const size_t common = CommonLetters(typed, name);
    if (common > most || (common == most && name.size() < nearest.size())) {
      most = common;
      nearest = name;
    }
  }
  if (3 * most <= 2 * typed.size()) return "";
  return "; did you mean " + std::string(nearest) + "?";
}

}  // namespace tt
