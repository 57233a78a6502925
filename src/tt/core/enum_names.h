// Enumerations that users name.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace tt {

/*! The names of an enumeration's values, in the order in which messages list them. */
template <typename Enum, size_t kCount>
struct EnumNames {
  std::string_view what;  // for messages, such as "memory"
  ErrorCode code;         // of a name that is none
  std::array<std::pair<Enum, std::string_view>, kCount> names;

  /*! Refuses every other name. */
  Enum Parse(std::string_view name) const {
    std::string known;
    for (const auto& [value, text] : names) {
      if (text == name) return value;
      known += (known.empty() ? "" : ", ") + std::string(text);
    }
    throw Error(code, "unknown " + std::string(what) + " \"" + std::string(name) +
                          "\"; expected one of: " + known);
  }

  std::string_view NameOf(Enum value) const {
    for (const auto& [known, text] : names) {
      if (known == value) return text;
    }
    return {};
  }
};

}  // namespace tt
