// InferDefaultTTSchedule: which core runs which part of the launch grid.
//
//   T.func_attr({<inputs>})                         T.func_attr({<inputs>, "tt_grid_x": 10, "tt_grid_y": 10,
//   bx = T.launch_thread("blockIdx.x", 10)    -->       "tt_num_tiles": 100, "tt_num_active_cores": 64,
//   by = T.launch_thread("blockIdx.y", 10)              "tt_tiles_per_core": [[0, 2], [2, 2], ...], ...})
//   ...                                             bx = T.launch_thread("blockIdx.x", 10)
//                                                   ...
//
// Requires: the inputs of ApplyTTDefaults.
// Ensures:  every work tile belongs to exactly one core; the keys of ScheduleKeys() are recomputed.
// Rejects:  missing or unknown inputs, launch grids that FindGrid rejects or that pass 2^63 cells.
#include "transform/infer_tt_schedule.h"

#include <map>
#include <mutex>
#include <tuple>

#include "ir/access.h"
#include "ir/launch.h"
#include "plan/schedule.h"
#include "transform/attributes.h"
#include "transform/pass.h"

namespace tt::transform {
namespace {

using ir::Value;

// Runtime arguments are 32-bit words; beyond this many tiles a tile's number takes two.
constexpr int64_t kMaxTilesOf32Bits = int64_t{1} << 32;

/*! Made once and then shared, never freed: attributes are written by the thousand. */
struct Keys {
  Value grid_x{"tt_grid_x"}, grid_y{"tt_grid_y"}, grid_z{"tt_grid_z"}, num_tiles{"tt_num_tiles"};
  Value core_grid{"tt_core_grid"}, num_cores{"tt_num_cores"};
  Value num_active_cores{"tt_num_active_cores"}, tiles_per_core{"tt_tiles_per_core"};
  Value core_ranges{"tt_core_ranges"}, runtime_args_schema{"tt_runtime_args_schema"};
  Value name{"name"}, dtype{"dtype"}, scope{"scope"}, source{"source"}, value{"value"};
  Value per_core{"per_core"}, common{"common"}, schedule{"schedule"};

  static const Keys& Get() {
    static const Keys* keys = new Keys;
    return *keys;
  }
};

Value RangesValue(const std::vector<CoreRange>& ranges) {
  std::vector<Value> out;
  for (const CoreRange& r : ranges) out.push_back(ir::MakeArray({r.x0, r.y0, r.x1, r.y1}));
  return ir::MakeArray(out);
}

Value TilesValue(const std::vector<plan::TileRange>& tiles) {
  std::vector<Value> out;
  out.reserve(tiles.size());
  for (const plan::TileRange& range : tiles) out.push_back(ir::MakeArray({range.start, range.count}));
  return ir::MakeArray(out);
}

/*! What follows from the number of tiles and the cores alone. */
ir::Entries SplitEntries(int64_t num_tiles, const plan::CoreSet& cores, plan::CoreOrder order) {
  const Keys& keys = Keys::Get();
  const plan::Schedule schedule = plan::ScheduleContiguous(num_tiles, cores, order);
  return {{keys.num_tiles, num_tiles},
          {keys.num_cores, cores.size()},
          {keys.num_active_cores, schedule.num_active_cores},
          {keys.tiles_per_core, TilesValue(schedule.tiles_per_core)},
          {keys.core_ranges, RangesValue(schedule.active_ranges)}};
}

/*!
 * SplitEntries, remembered: the table of a big chip costs more to build than all else, and modules
 * repeat their grids. The values are immutable and shared between functions.
 */
ir::Entries CachedSplitEntries(int64_t num_tiles, const plan::CoreSet& cores, plan::CoreOrder order) {
  constexpr size_t kCapacity = 256;
  using Key = std::tuple<int64_t, std::vector<CoreRange>, plan::CoreOrder>;
  static auto* mutex = new std::mutex;
  static auto* cache = new std::map<Key, ir::Entries>;
  const Key key{num_tiles, cores.ranges(), order};
  {
    const std::scoped_lock lock(*mutex);
    if (const auto found = cache->find(key); found != cache->end()) return found->second;
  }
  ir::Entries entries = SplitEntries(num_tiles, cores, order);
  const std::scoped_lock lock(*mutex);
  if (cache->size() >= kCapacity) cache->clear();
  (*cache)[key] = entries;
  return entries;
}

Value RuntimeArgsSchema(const plan::Grid& grid, int64_t num_tiles, bool may_reduce) {
  const Keys& keys = Keys::Get();
  const Value word("uint32");
  const Value tile_number = num_tiles <= kMaxTilesOf32Bits ? word : Value("uint64");
  const auto argument = [&](const char* name, const Value& dtype, const Value& scope,
                            const Value& source, const Value& value) {
    ir::Entries entries = {
        {keys.name, name}, {keys.dtype, dtype}, {keys.scope, scope}, {keys.source, source}};
    if (!value.is_none()) entries.emplace_back(keys.value, value);
    return ir::MakeMap(entries);
  };
  // A reduction has as many K tiles as its tensors say; which they are has not been found.
  const Value kt_source = may_reduce ? Value("unresolved") : Value("none");
  const Value kt_tiles = may_reduce ? Value() : Value(int64_t{1});
  return ir::MakeArray(std::vector<Value>{
      argument("start_id", tile_number, keys.per_core, keys.schedule, Value()),
      argument("count", tile_number, keys.per_core, keys.schedule, Value()),
      argument("grid_x", word, keys.common, keys.schedule, grid.x),
      argument("grid_y", word, keys.common, keys.schedule, grid.y),
      argument("kt_tiles", word, keys.common, kt_source, kt_tiles)});
}

Value Infer(const Value& func) {
  const std::optional<plan::Grid> grid = ir::FindGrid(func);
  if (!grid) return func;
  const Inputs inputs = Inputs::Of(func);
  inputs.CheckSchedule();
  const int64_t num_tiles = plan::NumTiles(*grid);
  const bool may_reduce = ir::AccessOf(func, ir::Parameters(func)).may_reduce;
  const CoreCoord workers = inputs.Device().worker_grid;

  const Keys& keys = Keys::Get();
  ir::Entries entries = CachedSplitEntries(num_tiles, inputs.Cores(), inputs.CoreOrder());
  entries.emplace_back(keys.grid_x, grid->x);
  entries.emplace_back(keys.grid_y, grid->y);
  entries.emplace_back(keys.grid_z, grid->z);
  entries.emplace_back(keys.core_grid, ir::MakeArray({workers.x, workers.y}));
  entries.emplace_back(keys.runtime_args_schema, RuntimeArgsSchema(*grid, num_tiles, may_reduce));
  return WithAttributes(func, entries);
}

}  // namespace

const std::vector<std::string>& ScheduleKeys() {
  static const std::vector<std::string> keys = {
      "tt_grid_x",         "tt_grid_y",       "tt_grid_z",    "tt_num_tiles",
      "tt_core_grid",      "tt_num_cores",    "tt_num_active_cores",
      "tt_tiles_per_core", "tt_core_ranges",  "tt_runtime_args_schema",
  };
  return keys;
}

Value InferDefaultTTSchedule() { return MakePass("tt.InferDefaultTTSchedule", Infer); }

}  // namespace tt::transform
