// InferDefaultTTSchedule: which core runs which part of the launch grid.
//
//   T.func_attr({<inputs>})                       T.func_attr({<inputs>, "tt_num_tiles": 100,
//   bx = T.launch_thread("blockIdx.x", 10)  -->       "tt_tiles_per_core": [[0, 2], ...], ...})
//   by = T.launch_thread("blockIdx.y", 10)        bx = T.launch_thread("blockIdx.x", 10)
//   ...                                           ...
//
// A function of several launches gets tt_launches instead: a map of the same keys for each.
//
// Requires: the inputs of ApplyTTDefaults.
// Ensures:  every work tile belongs to exactly one core; the keys of ScheduleKeys() are recomputed,
//           and gone where they do not apply, as from functions that are no kernels; a core
//           program keeps those that it was made with.
// Rejects:  missing or unknown inputs, launches that FindLaunches rejects,
//           grids that pass 2^63 cells.
#include "transform/infer_tt_schedule.h"

#include <algorithm>
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
constinit const Interned kTileRuns{"tt_tile_runs"}, kTileRange{"tt_tile_range"};
constinit const Interned kRuntimeArgsSchema{"tt_runtime_args_schema"};
constinit const Interned kPersistent{"tt_persistent"}, kLaunches{"tt_launches"};
}  // namespace key

Value RangesValue(const std::vector<CoreRange>& ranges) {
  std::vector<Value> out;
  for (const CoreRange& r : ranges) out.push_back(ir::MakeArray({r.x0, r.y0, r.x1, r.y1}));
  return ir::MakeArray(out);
}

/*! [start, length, stride, repeat] of each; of formulas, all four are text. */
Value RunsValue(const std::vector<plan::TileRun>& runs, bool are_formulas) {
  std::vector<Value> out;
  for (const auto& [start, length, stride, repeat] : runs) {
    out.push_back(are_formulas
                      ? ir::MakeArray(std::vector<Value>{start.ToString(), length.ToString(),
                                                         stride.ToString(), repeat.ToString()})
                      : ToValue({start, length, stride, repeat}));
  }
  return ir::MakeArray(out);
}

/*! Any core's share as formulas over its id and the shape variables. */
Value TileRangeValue(const plan::CoreShare& share) {
  static constinit const Interned start{"start"}, count{"count"}, runs{"runs"};
  return ir::MakeMap({{start, share.start.ToString()},
                      {count, share.count.ToString()},
                      {runs, RunsValue(share.runs, true)}});
}

/*! What follows from the schedule alone. */
struct Tables {
  ir::Entries entries;
  Int most_tiles;        // of one core, or more than that
  size_t most_runs = 0;  // of one core; 0 where all of them have ranges
};

Tables TablesOf(const plan::Schedule& schedule) {
  Tables out;
  out.entries = {{key::kNumTiles, ToValue(schedule.num_tiles())},
                 {key::kNumCores, schedule.cores().size()},
                 {key::kNumActiveCores, ToValue(schedule.NumActiveCores())},
                 {key::kCoreRanges, RangesValue(schedule.ActiveRanges())}};
  if (!schedule.num_tiles().is_constant()) {
    const plan::CoreShare formulas = schedule.ShareOf(Int::Variable("core_id"));
    out.entries.emplace_back(key::kTileRange, TileRangeValue(formulas));
    out.most_tiles = schedule.num_tiles();
    if (!formulas.is_range()) out.most_runs = formulas.runs.size();
    return out;
  }
  std::vector<Value> tiles, runs;
  std::vector<plan::CoreShare> shares;
  for (int64_t core = 0; core < schedule.cores().size(); ++core) {
    shares.push_back(schedule.ShareOf(core));
    tiles.push_back(ToValue({shares.back().start, shares.back().count}));
    out.most_tiles = Max(out.most_tiles, shares.back().count);
  }
  out.entries.emplace_back(key::kTilesPerCore, ir::MakeArray(tiles));
  if (std::ranges::all_of(shares, &plan::CoreShare::is_range)) return out;
  for (const plan::CoreShare& share : shares) {
    runs.push_back(RunsValue(share.runs, false));
    out.most_runs = std::max(out.most_runs, share.runs.size());
  }
  out.entries.emplace_back(key::kTileRuns, ir::MakeArray(runs));
  return out;
}

/*! TablesOf, remembered: the tables of a big chip cost more to build than all else. */
Tables CachedTables(const plan::Grid& grid, const Inputs& inputs) {
  using Key = std::tuple<Int, Int, Int, std::vector<CoreRange>, plan::CoreOrder, plan::Policy,
                         plan::TileOrder>;
  static auto* cache = new Cache<Key, Tables>;
  const plan::Policy policy = inputs.Policy();
  const plan::TileOrder order = inputs.TileOrder();
  const plan::CoreSet cores = inputs.Cores();
  const plan::CoreOrder core_order = inputs.CoreOrder();
  const auto make = [&] {
    return TablesOf(plan::Schedule(grid, cores, core_order, policy, order));
  };
  // Only rectangles depend on more than the number of tiles.
  if (policy.kind == plan::Policy::Kind::kRectangular) {
    return cache->Get({grid.x, grid.y, grid.z, cores.ranges(), core_order, policy, order}, make);
  }
  return cache->Get({plan::NumTiles(grid), 1, 1, cores.ranges(), core_order, policy, {}}, make);
}

/*! What T.Persistent has made of its domain, for whoever takes its loop apart. */
Value PersistentValue(const ir::Persistence& persistence) {
  static constinit const Interned loop{"loop"}, wave{"wave"}, group_size{"group_size"};
  return ir::MakeMap({{loop, persistence.loop},
                      {wave, ToValue(persistence.wave)},
                      {group_size, ToValue(persistence.group_size)}});
}

/*! The schedule of one launch, whose statements are at and below `body`. */
ir::Entries LaunchEntries(const ir::Launch& launch, const Value& body, const Inputs& inputs,
                          const std::vector<ir::Parameter>& parameters) {
  const plan::Grid& grid = launch.grid;
  Tables tables = CachedTables(grid, inputs);
  const CoreCoord workers = inputs.Device().worker_grid;
  const LaunchSize size = {grid.x,          grid.y, grid.z, plan::NumTiles(grid), tables.most_tiles,
                           tables.most_runs};
  ir::Entries entries = std::move(tables.entries);
  entries.emplace_back(key::kGridX, ToValue(grid.x));
  entries.emplace_back(key::kGridY, ToValue(grid.y));
  entries.emplace_back(key::kGridZ, ToValue(grid.z));
  entries.emplace_back(key::kCoreGrid, ir::MakeArray({workers.x, workers.y}));
  entries.emplace_back(key::kRuntimeArgsSchema,
                       RuntimeArgsSchema(size, body, parameters, inputs.Tile().width));
  if (launch.persistence) {
    entries.emplace_back(key::kPersistent, PersistentValue(*launch.persistence));
  }
  return entries;
}

ir::Entries ScheduleEntries(const Value& func, const std::vector<ir::Launch>& launches) {
  const Inputs inputs = Inputs::Of(func);
  const std::vector<ir::Parameter> parameters = ir::Parameters(func);
  if (launches.size() == 1) {
    return LaunchEntries(launches.front(), ir::Get(func, ir::FieldId::kBody), inputs, parameters);
  }
  std::vector<Value> maps;
  for (const ir::Launch& launch : launches) {
    maps.push_back(ir::MakeMap(LaunchEntries(launch, launch.root, inputs, parameters)));
  }
  return {{key::kLaunches, ir::MakeArray(maps)}};
}

/*! The keys of a schedule that are not among these. */
Keys KeysBeside(const ir::Entries& entries) {
  Keys out;
  for (const Interned* key : ScheduleKeys()) {
    const Value& name = *key;
    const auto is_it = [&](const auto& entry) { return entry.first.object() == name.object(); };
    if (std::ranges::none_of(entries, is_it)) out.push_back(key);
  }
  return out;
}

}  // namespace

Value InferSchedule(const Value& func) {
  if (ir::IsCoreProgram(func)) return func;
  const std::vector<ir::Launch> launches = ir::FindLaunches(func);
  if (launches.empty()) return WithoutAttributes(func, ScheduleKeys());
  const ir::Entries entries = ScheduleEntries(func, launches);
  return WithAttributes(WithoutAttributes(func, KeysBeside(entries)), entries);
}

const Keys& ScheduleKeys() {
  static const Keys keys = {
      &key::kGridX,      &key::kGridY,     &key::kGridZ,          &key::kNumTiles,
      &key::kCoreGrid,   &key::kNumCores,  &key::kNumActiveCores, &key::kTilesPerCore,
      &key::kTileRuns,   &key::kTileRange, &key::kCoreRanges,     &key::kRuntimeArgsSchema,
      &key::kPersistent, &key::kLaunches,
  };
  return keys;
}

Value InferDefaultTTSchedule() { return MakePass("tt.InferDefaultTTSchedule", InferSchedule); }

}  // namespace tt::transform
