// Which core runs which work tiles of a launch grid.
//
// Everything here is an integer that may depend on shape variables, the id of the core included, so
// that one statement of a policy gives the numbers of a static grid and the formulas of any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/int.h"
#include "plan/tile_order.h"
#include "plan/work_split.h"

namespace tt::plan {

/*!
 * How work tiles are dealt out.
 *
 *   contiguous     cores take consecutive tiles; the first num_tiles % num_cores take one more
 *   strided        core c of C takes the tiles c, c + C, c + 2C, ...
 *   block_cyclic   the same with blocks of `block_size` consecutive tiles; the last may be partial
 *   rectangular    the core at column x and row y takes one block of columns and rows of the grid
 *
 * What is a column of the grid in `rectangular`: in row-major order tiles of one x are a column, and
 * those of one (z, y) are a row; in column-major order tiles of one y are a row, and those of one
 * (z, x) are a column. A block has ceil(extent / cores) columns and rows, as ttnn's 2-D multicast
 * matmul has it (per_core_M and per_core_N, with fuse_batch for z; ttnn/cpp/ttnn/operations/matmul
 * of ttnn 0.81.1): those at the far edges may be smaller, and cores beyond them are idle.
 */
struct Policy {
  enum class Kind { kContiguous, kStrided, kBlockCyclic, kRectangular };
  Kind kind = Kind::kContiguous;
  int64_t block_size = 0;  // 0 where there are no blocks
  friend auto operator<=>(const Policy&, const Policy&) = default;
};

/*! Refuses unknown names, block_cyclic without a block of at least 1, and a needless block. */
Policy ParsePolicy(std::string_view name, std::optional<int64_t> block_size);

/*!
 * Refuses what `rectangular` cannot do, which is swizzled orders and cores that fill no rectangle,
 * and blocks of which one for every core passes 64 bits.
 */
void CheckPolicy(const Policy& policy, const CoreSet& cores, const TileOrder& tile_order);

/*! The work tiles start + r * stride + i of all 0 <= r < repeat and 0 <= i < length. */
struct TileRun {
  Int start, length, stride, repeat;
};

/*! What one core has to do. */
struct CoreShare {
  Int start, count;           // the first tile and how many; both 0 for an idle core
  std::vector<TileRun> runs;  // in increasing order of tiles

  /*! Whether the tiles, which are numbers, follow each other without gaps. */
  bool is_range() const { return runs.empty() || (runs.size() == 1 && runs[0].repeat == 1); }
};

class Schedule {
 public:
  /*! Refuses what CheckPolicy and NumTiles refuse. */
  Schedule(const Grid& grid, CoreSet cores, CoreOrder core_order, const Policy& policy,
           const TileOrder& tile_order);

  const CoreSet& cores() const { return cores_; }
  const Int& num_tiles() const { return num_tiles_; }
  /*! How many cores have work. */
  Int NumActiveCores() const;
  /*! The cores that have work, in ttnn's decomposition; all cores where that depends on sizes. */
  std::vector<CoreRange> ActiveRanges() const;
  /*!
   * What the core of a linear id does. Of a number in a grid of numbers the runs are in normal form:
   * none is empty, none continues another, and the stride of what does not repeat is 0. Otherwise
   * they are formulas, whose runs may turn out to be empty.
   */
  CoreShare ShareOf(const Int& core_id) const;

 private:
  CoreShare Contiguous(const Int& core_id) const;
  CoreShare Cyclic(const Int& core_id) const;
  CoreShare Rectangular(const Int& core_id) const;
  CoreRange ActiveRectangle() const;

  CoreSet cores_;
  CoreOrder core_order_;
  Policy policy_;
  Int num_tiles_;
  // For `rectangular`: the axis on which consecutive tiles lie, which goes along the cores' x in
  // row-major and along their y in column-major order, and the other one.
  struct Axis {
    Int extent, per_core;
  };
  bool is_row_major_;
  Axis fast_, slow_;
};

}  // namespace tt::plan
