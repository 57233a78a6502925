// InferDefaultTTSchedule: which core runs which part of the launch grid.
//
//   T.func_attr({<inputs>})                       T.func_attr({<inputs>, "tt_num_tiles": 100,
//   bx = T.launch_thread("blockIdx.x", 10)  -->       "tt_tiles_per_core": [[0, 2], ...], ...})
//   by = T.launch_thread("blockIdx.y", 10)        bx = T.launch_thread("blockIdx.x", 10)
//   ...                                           ...
//
// Requires: the inputs of ApplyTTDefaults.
// Ensures:  every work tile belongs to exactly one core; the keys of ScheduleKeys() are recomputed,
//           and gone from functions that are no kernels.
// Rejects:  missing or unknown inputs, launch grids that FindGrid rejects or that pass 2^63 cells.
#include "transform/infer_tt_schedule.h"

#include <tuple>

#include "ir/launch.h"
#include "ir/node.h"
#include "ir/parameters.h"
#include "plan/schedule.h"
#include "transform/attributes.h"
#include "transform/cache.h"
#include "transform/pass.h"
#include "transform/runtime_args.h"

namespace tt::transform {
namespace {

using ir::Interned;
using ir::Value;

namespace key {
constinit const Interned kGridX{"tt_grid_x"}, kGridY{"tt_grid_y"}, kGridZ{"tt_grid_z"};
constinit const Interned kNumTiles{"tt_num_tiles"}, kCoreGrid{"tt_core_grid"};
constinit const Interned kNumCores{"tt_num_cores"}, kNumActiveCores{"tt_num_active_cores"};
constinit const Interned kTilesPerCore{"tt_tiles_per_core"}, kCoreRanges{"tt_core_ranges"};
constinit const Interned kRuntimeArgsSchema{"tt_runtime_args_schema"};
}  // namespace key

Value RangesValue(const std::vector<CoreRange>& ranges) {
  std::vector<Value> out;
  for (const CoreRange& r : ranges) out.push_back(ir::MakeArray({r.x0, r.y0, r.x1, r.y1}));
  return ir::MakeArray(out);
}

Value TilesValue(const std::vector<plan::TileRange>& tiles) {
  std::vector<Value> out;
  out.reserve(tiles.size());
  for (const plan::TileRange& range : tiles)
    out.push_back(ir::MakeArray({range.start, range.count}));
  return ir::MakeArray(out);
}

/*! What follows from the number of tiles and the cores alone. */
ir::Entries SplitEntries(int64_t num_tiles, const plan::CoreSet& cores, plan::CoreOrder order) {
  const plan::Schedule schedule = plan::ScheduleContiguous(num_tiles, cores, order);
  return {{key::kNumTiles, num_tiles},
          {key::kNumCores, cores.size()},
          {key::kNumActiveCores, schedule.num_active_cores},
          {key::kTilesPerCore, TilesValue(schedule.tiles_per_core)},
          {key::kCoreRanges, RangesValue(schedule.active_ranges)}};
}

/*! SplitEntries, remembered: the table of a big chip costs more to build than all else. */
ir::Entries CachedSplitEntries(int64_t num_tiles, const plan::CoreSet& cores,
                               plan::CoreOrder order) {
  using Key = std::tuple<int64_t, std::vector<CoreRange>, plan::CoreOrder>;
  static auto* cache = new Cache<Key, ir::Entries>;
  return cache->Get({num_tiles, cores.ranges(), order},
                    [&] { return SplitEntries(num_tiles, cores, order); });
}

}  // namespace

Value InferSchedule(const Value& func) {
  const std::optional<plan::Grid> grid = ir::FindGrid(func);
  if (!grid) return WithoutAttributes(func, ScheduleKeys());
  const Inputs inputs = Inputs::Of(func);
  inputs.CheckPolicy();
  inputs.CheckScheduleOrder();
  const int64_t num_tiles = plan::NumTiles(*grid);
  const CoreCoord workers = inputs.Device().worker_grid;

  const plan::CoreSet cores = inputs.Cores();
  ir::Entries entries = CachedSplitEntries(num_tiles, cores, inputs.CoreOrder());
  entries.emplace_back(key::kGridX, grid->x);
  entries.emplace_back(key::kGridY, grid->y);
  entries.emplace_back(key::kGridZ, grid->z);
  entries.emplace_back(key::kCoreGrid, ir::MakeArray({workers.x, workers.y}));
  entries.emplace_back(key::kRuntimeArgsSchema,
                       RuntimeArgsSchema({grid->x, grid->y, grid->z, num_tiles, cores.size()},
                                         ir::Get(func, ir::FieldId::kBody), ir::Parameters(func),
                                         inputs.Tile().width));
  return WithAttributes(func, entries);
}

const std::vector<std::string>& ScheduleKeys() {
  static const std::vector<std::string> keys = {
      "tt_grid_x",           "tt_grid_y",
      "tt_grid_z",           "tt_num_tiles",
      "tt_core_grid",        "tt_num_cores",
      "tt_num_active_cores", "tt_tiles_per_core",
      "tt_core_ranges",      "tt_runtime_args_schema",
  };
  return keys;
}

Value InferDefaultTTSchedule() { return MakePass("tt.InferDefaultTTSchedule", InferSchedule); }

}  // namespace tt::transform
