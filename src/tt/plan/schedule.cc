#include "plan/schedule.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/checked.h"
#include "core/join.h"

namespace tt::plan {
namespace {

constexpr std::array<std::string_view, 4> kPolicyNames = {"contiguous", "strided", "block_cyclic",
                                                          "rectangular"};

/*! 1 where a number that is not negative is positive, else 0. */
Int IsPositive(const Int& number) { return Min(number, 1); }

/*! How many of the numbers core_id, core_id + num_cores, ... are below `end`. */
Int CountFrom(const Int& core_id, const Int& end, const Int& num_cores) {
  return CeilDiv(end - core_id, num_cores);
}

bool IsConstant(const TileRun& run) {
  return run.start.is_constant() && run.length.is_constant() && run.stride.is_constant() &&
         run.repeat.is_constant();
}

bool Continues(const TileRun& run, const TileRun& previous) {
  return run.repeat == 1 && previous.repeat == 1 && run.start == previous.start + previous.length;
}

/*! Without the runs that are empty, and in normal form where all of them are numbers. */
CoreShare Tidied(CoreShare share) {
  const bool is_constant = std::ranges::all_of(share.runs, IsConstant);
  std::vector<TileRun> runs;
  for (TileRun& run : share.runs) {
    if (run.length == 0 || run.repeat == 0) continue;
    if (is_constant && (run.repeat == 1 || run.stride == run.length)) {
      run = {run.start, run.length * run.repeat, 0, 1};
    }
    if (is_constant && !runs.empty() && Continues(run, runs.back())) {
      runs.back().length = runs.back().length + run.length;
    } else {
      runs.push_back(std::move(run));
    }
  }
  share.runs = std::move(runs);
  return share;
}

}  // namespace

Policy ParsePolicy(std::string_view name, std::optional<int64_t> block_size) {
  const auto found = std::ranges::find(kPolicyNames, name);
  if (found == kPolicyNames.end()) {
    throw Error(ErrorCode::kSchedulePolicy, "unknown schedule policy \"" + std::string(name) +
                                                "\"; expected one of: " + Join(kPolicyNames));
  }
  const auto kind = static_cast<Policy::Kind>(found - kPolicyNames.begin());
  const bool has_blocks = kind == Policy::Kind::kBlockCyclic;
  if (has_blocks && block_size.value_or(0) < 1) {
    throw Error(
        ErrorCode::kNoBlockSize,
        "schedule policy \"block_cyclic\" with " +
            (block_size ? "a block size of " + std::to_string(*block_size) : "no block size") +
            "; expected a schedule_block_size of at least 1 work tile");
  }
  if (!has_blocks && block_size) {
    throw Error(ErrorCode::kBlockSize, "schedule policy \"" + std::string(name) +
                                           "\" with a block size of " +
                                           std::to_string(*block_size) +
                                           "; expected none, as only block_cyclic has blocks");
  }
  return {kind, block_size.value_or(0)};
}

void CheckPolicy(const Policy& policy, const CoreSet& cores, const TileOrder& tile_order) {
  if (policy.kind == Policy::Kind::kBlockCyclic) CheckedMul(cores.size(), policy.block_size);
  if (policy.kind != Policy::Kind::kRectangular) return;
  if (tile_order.is_swizzled()) {
    throw Error(ErrorCode::kRectangularOrder,
                "schedule policy \"rectangular\" with a swizzled schedule order; expected "
                "row_major or column_major, as a block would have no tiles in rows");
  }
  const CoreRange bounds = cores.Bounds();
  if (bounds.size() == cores.size()) return;
  throw Error(ErrorCode::kRectangularCores,
              "schedule policy \"rectangular\" on " + std::to_string(cores.size()) + " of the " +
                  std::to_string(bounds.size()) + " cores of " + ToString(bounds) +
                  "; expected cores that fill a rectangle");
}

Schedule::Schedule(const Grid& grid, CoreSet cores, CoreOrder core_order, const Policy& policy,
                   const TileOrder& tile_order)
    : cores_(std::move(cores)),
      core_order_(core_order),
      policy_(policy),
      num_tiles_(NumTiles(grid)),
      is_row_major_(tile_order.kind == TileOrder::Kind::kRowMajor) {
  CheckPolicy(policy, cores_, tile_order);
  if (policy.kind != Policy::Kind::kRectangular) return;
  const CoreRange bounds = cores_.Bounds();
  const auto axis = [](const Int& extent, int64_t cores) {
    return Axis{extent, CeilDiv(extent, Int(cores))};
  };
  fast_ = is_row_major_ ? axis(grid.x, bounds.width()) : axis(grid.y, bounds.height());
  slow_ = is_row_major_ ? axis(grid.z * grid.y, bounds.height())
                        : axis(grid.z * grid.x, bounds.width());
}

Int Schedule::NumActiveCores() const {
  switch (policy_.kind) {
    case Policy::Kind::kContiguous:
    case Policy::Kind::kStrided: return Min(num_tiles_, cores_.size());
    case Policy::Kind::kBlockCyclic:
      return Min(CeilDiv(num_tiles_, Int(policy_.block_size)), cores_.size());
    case Policy::Kind::kRectangular: break;
  }
  return CeilDiv(fast_.extent, fast_.per_core) * CeilDiv(slow_.extent, slow_.per_core);
}

std::vector<CoreRange> Schedule::ActiveRanges() const {
  const auto num_active = NumActiveCores().constant();
  if (!num_active) return cores_.ranges();
  if (policy_.kind == Policy::Kind::kRectangular) return {ActiveRectangle()};
  return cores_.Cover(0, *num_active, core_order_);
}

CoreRange Schedule::ActiveRectangle() const {
  const CoreRange bounds = cores_.Bounds();
  const int64_t fast = *CeilDiv(fast_.extent, fast_.per_core).constant();
  const int64_t slow = *CeilDiv(slow_.extent, slow_.per_core).constant();
  return {bounds.x0, bounds.y0, bounds.x0 + (is_row_major_ ? fast : slow) - 1,
          bounds.y0 + (is_row_major_ ? slow : fast) - 1};
}

CoreShare Schedule::ShareOf(const Int& core_id) const {
  switch (policy_.kind) {
    case Policy::Kind::kContiguous: return Tidied(Contiguous(core_id));
    case Policy::Kind::kStrided:
    case Policy::Kind::kBlockCyclic: return Tidied(Cyclic(core_id));
    case Policy::Kind::kRectangular: break;
  }
  return Tidied(Rectangular(core_id));
}

CoreShare Schedule::Contiguous(const Int& core_id) const {
  const Int num_cores = cores_.size();
  const Int count = CountFrom(core_id, num_tiles_, num_cores);
  const Int before =
      core_id * FloorDiv(num_tiles_, num_cores) + Min(core_id, FloorMod(num_tiles_, num_cores));
  const Int start = before * IsPositive(count);
  return {start, count, {{start, count, 0, 1}}};
}

CoreShare Schedule::Cyclic(const Int& core_id) const {
  const Int num_cores = cores_.size();
  const Int block = std::max<int64_t>(policy_.block_size, 1);
  const Int full_blocks = FloorDiv(num_tiles_, block);
  const Int rest = FloorMod(num_tiles_, block);
  const Int num_full = CountFrom(core_id, full_blocks, num_cores);
  const Int num_any = CountFrom(core_id, CeilDiv(num_tiles_, block), num_cores);
  const Int num_partial = num_any - num_full;
  return {core_id * block * IsPositive(num_any),
          num_full * block + num_partial * rest,
          {{core_id * block, block, num_cores * block, num_full},
           {full_blocks * block, rest, 0, num_partial}}};
}

CoreShare Schedule::Rectangular(const Int& core_id) const {
  const auto [column, row] = cores_.PositionOf(core_id, core_order_);
  const Int first_fast = (is_row_major_ ? column : row) * fast_.per_core;
  const Int first_slow = (is_row_major_ ? row : column) * slow_.per_core;
  const auto share = [](const Axis& axis, const Int& first) {
    return Min(axis.per_core, Max(axis.extent - first, 0));
  };
  const Int length = share(fast_, first_fast);
  const Int repeat = share(slow_, first_slow);
  const Int count = length * repeat;
  // The lines of idle cores may lie beyond all numbers.
  const Int start =
      (first_slow * IsPositive(count)) * fast_.extent + first_fast * IsPositive(count);
  return {start, count, {{start, length, fast_.extent, repeat}}};
}

}  // namespace tt::plan
