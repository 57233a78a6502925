// The launch grid, and in which order its cells are numbered.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/int.h"

namespace tt::plan {

/*! The launch grid; a work tile is one cell of it. Extents may depend on shape variables. */
struct Grid {
  Int x = 1;
  Int y = 1;
  Int z = 1;
  friend bool operator==(const Grid&, const Grid&) = default;
};

/*! Refuses extents below 1 and grids of 2^63 cells or more. */
Int NumTiles(const Grid& grid);

/*!
 * Which cell of the grid is work tile number i. All orders take one (x, y) plane after the other.
 *
 *   row_major         x varies fastest, then y
 *   column_major      y varies fastest, then x
 *   swizzled_row      panels of `panel` rows, each walked down its columns, every other one from
 *                     right to left
 *   swizzled_column   panels of `panel` columns, each walked along its rows, every other one from
 *                     the last row to the first
 *
 * The swizzled ones are TileLang's rasterization2DRow and rasterization2DColumn
 * (tilelang/src/tl_templates/cuda/threadblock_swizzle.h), where a launch's own row-major number is
 * what tells its blocks apart.
 */
struct TileOrder {
  enum class Kind { kRowMajor, kColumnMajor, kSwizzledRow, kSwizzledColumn };
  Kind kind = Kind::kRowMajor;
  int64_t panel = 0;  // rows or columns of a panel; 0 where there are none

  bool is_swizzled() const { return panel > 0; }
  friend auto operator<=>(const TileOrder&, const TileOrder&) = default;
};

/*! Refuses unknown names, a swizzled order without a panel of at least 1, and a needless panel. */
TileOrder ParseTileOrder(std::string_view name, std::optional<int64_t> panel);

/*! A cell of the grid: (blockIdx.x, blockIdx.y, blockIdx.z). */
template <typename Number>
struct TileCoord {
  Number x, y, z;
};

/*! The cell of a work tile of a grid of positive numbers; both functions check nothing. */
TileCoord<int64_t> CoordOfTile(const TileCoord<int64_t>& extents, const TileOrder& order,
                               int64_t tile_id);
/*! The same as formulas over the tile's number and the grid's shape variables. */
TileCoord<Int> CoordOfTile(const TileCoord<Int>& extents, const TileOrder& order,
                           const Int& tile_id);

/*! The inverse of CoordOfTile. */
int64_t TileOfCoord(const TileCoord<int64_t>& extents, const TileOrder& order,
                    const TileCoord<int64_t>& coord);

}  // namespace tt::plan
