// The tiles that the hardware can compute on.
#pragma once

#include <compare>
#include <cstdint>
#include <span>

namespace tt::device {

struct TileShape {
  int64_t height;
  int64_t width;
  friend auto operator<=>(const TileShape&, const TileShape&) = default;
};

constexpr TileShape kDefaultTile = {32, 32};

/*! All of them, in the order in which messages list them. */
std::span<const TileShape> TileShapes();

/*! Refuses a tile that the hardware has not and lists those that it has. */
void CheckTileShape(TileShape tile);

}  // namespace tt::device
