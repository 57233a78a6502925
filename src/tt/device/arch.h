// The architectures of Tenstorrent's chips.
#pragma once

#include <array>
#include <string_view>

namespace tt::device {

enum class Arch { kGrayskull, kWormholeB0, kBlackhole };

/*! As tt-metal spells them, in the order of the enumeration. */
inline constexpr std::array<std::string_view, 3> kArchNames = {"grayskull", "wormhole_b0",
                                                               "blackhole"};

constexpr std::string_view ToString(Arch arch) { return kArchNames[static_cast<size_t>(arch)]; }

}  // namespace tt::device
