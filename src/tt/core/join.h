// Lists of names for messages.
#pragma once

#include <string>
#include <string_view>

namespace tt {

/*! "a, b, c" of any range of strings. */
template <typename Range>
std::string Join(const Range& names) {
  std::string out;
  for (std::string_view name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace tt
