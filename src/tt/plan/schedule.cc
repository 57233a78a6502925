#include "plan/schedule.h"

#include <string>

#include "core/checked.h"

namespace tt::plan {
namespace {

void CheckExtent(char axis, int64_t extent) {
  if (extent >= 1) return;
  throw Error(ErrorCode::kGridExtent, std::string("grid extent ") + axis + " is " +
                                          std::to_string(extent) + "; expected at least 1");
}

void CheckOnlyChoice(ErrorCode code, const char* what, std::string_view found,
                     std::string_view only) {
  if (found == only) return;
  throw Error(code, std::string("unknown ") + what + " \"" + std::string(found) +
                        "\"; expected one of: " + std::string(only));
}

}  // namespace

int64_t NumTiles(const Grid& grid) {
  CheckExtent('x', grid.x);
  CheckExtent('y', grid.y);
  CheckExtent('z', grid.z);
  return CheckedMul(CheckedMul(grid.x, grid.y), grid.z);
}

void CheckPolicy(std::string_view policy) {
  CheckOnlyChoice(ErrorCode::kSchedulePolicy, "schedule policy", policy, "contiguous");
}

void CheckTileOrder(std::string_view order) {
  CheckOnlyChoice(ErrorCode::kScheduleOrder, "schedule order", order, "row_major");
}

Schedule ScheduleContiguous(int64_t num_tiles, const CoreSet& cores, CoreOrder order) {
  WorkSplit split = SplitWork(cores, num_tiles, order);
  std::vector<TileRange> tiles_per_core(cores.size(), TileRange{0, 0});
  int64_t start = 0;
  for (int64_t core = 0; core < split.num_cores; ++core) {
    const int64_t count = num_tiles / split.num_cores + (core < num_tiles % split.num_cores);
    tiles_per_core[core] = {start, count};
    start += count;
  }
  return {num_tiles, split.num_cores, std::move(split.all_cores), std::move(tiles_per_core)};
}

}  // namespace tt::plan
