// Which core runs which work tiles of a launch grid.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "plan/work_split.h"

namespace tt::plan {

/*! The launch grid; a work tile is one cell of it. */
struct Grid {
  int64_t x = 1;
  int64_t y = 1;
  int64_t z = 1;
  friend bool operator==(const Grid&, const Grid&) = default;
};

/*! Refuses extents below 1 and grids of 2^63 cells or more. */
int64_t NumTiles(const Grid& grid);

/*! Work tiles [start, start + count) in the schedule's order. */
struct TileRange {
  int64_t start;
  int64_t count;
};

struct Schedule {
  int64_t num_tiles;
  int64_t num_active_cores;  // cores that have work
  std::vector<CoreRange> active_ranges;
  std::vector<TileRange> tiles_per_core;  // by linear core id; {0, 0} for an idle core
};

/*! Refuses a policy, or an order of work tiles, that does not exist. */
void CheckPolicy(std::string_view policy);
void CheckTileOrder(std::string_view order);

/*!
 * The contiguous policy: cores take consecutive work tiles in the order of their ids, and the first
 * num_tiles % num_cores of them take one more than the rest.
 */
Schedule ScheduleContiguous(int64_t num_tiles, const CoreSet& cores, CoreOrder order);

}  // namespace tt::plan
