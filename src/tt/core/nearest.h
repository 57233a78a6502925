// Finding the name that a user may have meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tt {

/*!
 * A sentence for messages, "; did you mean X?", or nothing where no name comes close. Closest is the
 * name that holds most of the letters in their order, and of several the shortest.
 */
std::string DidYouMean(std::string_view typed, std::span<const std::string_view> names);

}  // namespace tt
