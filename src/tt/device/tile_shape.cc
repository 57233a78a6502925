#include "device/tile_shape.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/error.h"

namespace tt::device {
namespace {

// Source: the shapes that ttnn.Tile of ttnn 0.81.1 accepts; every other one it refuses.
constexpr std::array<TileShape, 12> kTileShapes = {{
    {32, 32},
    {16, 32},
    {32, 16},
    {16, 16},
    {8, 32},
    {4, 32},
    {2, 32},
    {1, 32},
    {8, 16},
    {4, 16},
    {2, 16},
    {1, 16},
}};

std::string ToString(TileShape tile) {
  return std::to_string(tile.height) + "x" + std::to_string(tile.width);
}

}  // namespace

std::span<const TileShape> TileShapes() { return kTileShapes; }

void CheckTileShape(TileShape tile) {
  if (std::ranges::find(kTileShapes, tile) != kTileShapes.end()) return;
  std::string known;
  for (TileShape legal : kTileShapes) known += (known.empty() ? "" : ", ") + ToString(legal);
  throw Error(ErrorCode::kTileShape, "the hardware has no tile of " + ToString(tile) +
                                         " (height x width) elements; expected one of: " + known);
}

}  // namespace tt::device
