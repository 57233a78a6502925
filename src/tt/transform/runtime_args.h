// tt_runtime_args_schema: what a kernel receives when it runs.
#pragma once

#include <vector>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::transform {

/*! How a launch is cut into work tiles. */
struct LaunchSize {
  Int grid_x, grid_y, grid_z;
  Int num_tiles;
  Int most_tiles;    // of one core, or more than that
  size_t most_runs;  // of one core; 0 where start and count say all
};

/*!
 * The runtime arguments of a launch, in order: start_id, count, grid_x, grid_y and kt_tiles; grid_z
 * unless it is 1; the lengths, strides and repeats of the core's runs, where it has such, and the
 * starts of all runs but the first; kt_tiles_1 and so on where the kernel has several products; the trips of loops
 * that depend on sizes; scalar parameters; and the addresses of buffers. A name that is taken gets
 * the first of the suffixes _1, _2, ... that is not.
 */
ir::Value RuntimeArgsSchema(const LaunchSize& launch, const ir::Value& body,
                            const std::vector<ir::Parameter>& parameters, int64_t tile_width);

}  // namespace tt::transform
