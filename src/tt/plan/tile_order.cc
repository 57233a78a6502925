#include "plan/tile_order.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/checked.h"
#include "core/error.h"
#include "core/join.h"

namespace tt::plan {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"row_major", "column_major", "swizzled_row",
                                                    "swizzled_column"};

void CheckExtent(char axis, const Int& extent) {
  if (!extent.is_constant() || *extent.constant() >= 1) return;
  throw Error(ErrorCode::kGridExtent, std::string("grid extent ") + axis + " is " +
                                          extent.ToString() + "; expected at least 1");
}

/*! A position in the (x, y) plane: on the axis that is walked, and across it. */
template <typename Number>
struct Position {
  Number along, across;
};

/*! Panels of `panel` lines across; line by line inside, every other panel from the far end. */
template <typename Number>
Position<Number> InPanels(const Number& id, const Position<Number>& extents, const Number& panel) {
  const Number panel_size = panel * extents.along;
  const Number index = FloorDiv(id, panel_size);
  const Number offset = FloorMod(id, panel_size);
  const Number lines = Min(panel, extents.across - index * panel);
  const Number forth = FloorDiv(offset, lines);
  const Number back = extents.along - 1 - forth;
  const Number is_back = FloorMod(index, 2);
  return {forth + is_back * (back - forth), index * panel + FloorMod(offset, lines)};
}

template <typename Number>
TileCoord<Number> Locate(const TileCoord<Number>& extents, const TileOrder& order,
                         const Number& id) {
  const Number plane = extents.x * extents.y;
  const Number z = FloorDiv(id, plane);
  const Number in_plane = FloorMod(id, plane);
  const Number panel = order.panel;
  switch (order.kind) {
    case TileOrder::Kind::kRowMajor:
      return {FloorMod(in_plane, extents.x), FloorDiv(in_plane, extents.x), z};
    case TileOrder::Kind::kColumnMajor:
      return {FloorDiv(in_plane, extents.y), FloorMod(in_plane, extents.y), z};
    case TileOrder::Kind::kSwizzledRow: {
      // More lines than there are would only overflow.
      const auto at = InPanels<Number>(in_plane, {extents.x, extents.y}, Min(panel, extents.y));
      return {at.along, at.across, z};
    }
    case TileOrder::Kind::kSwizzledColumn: break;
  }
  const auto at = InPanels<Number>(in_plane, {extents.y, extents.x}, Min(panel, extents.x));
  return {at.across, at.along, z};
}

int64_t FromPanels(const Position<int64_t>& at, const Position<int64_t>& extents, int64_t panel) {
  const int64_t index = at.across / panel;
  const int64_t lines = std::min(panel, extents.across - index * panel);
  const int64_t forth = index % 2 == 0 ? at.along : extents.along - 1 - at.along;
  return index * panel * extents.along + forth * lines + at.across % panel;
}

}  // namespace

Int NumTiles(const Grid& grid) {
  CheckExtent('x', grid.x);
  CheckExtent('y', grid.y);
  CheckExtent('z', grid.z);
  return grid.x * grid.y * grid.z;
}

TileOrder ParseTileOrder(std::string_view name, std::optional<int64_t> panel) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) {
    throw Error(ErrorCode::kScheduleOrder, "unknown schedule order \"" + std::string(name) +
                                               "\"; expected one of: " + Join(kNames));
  }
  const auto kind = static_cast<TileOrder::Kind>(found - kNames.begin());
  const bool swizzled =
      kind == TileOrder::Kind::kSwizzledRow || kind == TileOrder::Kind::kSwizzledColumn;
  if (swizzled && panel.value_or(0) < 1) {
    throw Error(ErrorCode::kNoSwizzlePanel,
                "schedule order \"" + std::string(name) + "\" with " +
                    (panel ? "a swizzle panel of " + std::to_string(*panel) : "no swizzle panel") +
                    "; expected a swizzle_panel of at least 1 row or column");
  }
  if (!swizzled && panel) {
    throw Error(ErrorCode::kSwizzlePanel,
                "schedule order \"" + std::string(name) + "\" with a swizzle panel of " +
                    std::to_string(*panel) +
                    "; expected none, as only swizzled_row and swizzled_column have panels");
  }
  return {kind, panel.value_or(0)};
}

TileCoord<int64_t> CoordOfTile(const TileCoord<int64_t>& extents, const TileOrder& order,
                               int64_t tile_id) {
  return Locate(extents, order, tile_id);
}

TileCoord<Int> CoordOfTile(const TileCoord<Int>& extents, const TileOrder& order,
                           const Int& tile_id) {
  return Locate(extents, order, tile_id);
}

int64_t TileOfCoord(const TileCoord<int64_t>& extents, const TileOrder& order,
                    const TileCoord<int64_t>& coord) {
  const int64_t first = coord.z * extents.x * extents.y;
  switch (order.kind) {
    case TileOrder::Kind::kRowMajor: return first + coord.y * extents.x + coord.x;
    case TileOrder::Kind::kColumnMajor: return first + coord.x * extents.y + coord.y;
    case TileOrder::Kind::kSwizzledRow:
      return first + FromPanels({coord.x, coord.y}, {extents.x, extents.y},
                                std::min(order.panel, extents.y));
    case TileOrder::Kind::kSwizzledColumn: break;
  }
  return first +
         FromPanels({coord.y, coord.x}, {extents.y, extents.x}, std::min(order.panel, extents.x));
}

}  // namespace tt::plan
