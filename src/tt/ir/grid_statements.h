// The statements of a launch that only state its grid, and the variables that they define.
#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/launch.h"

namespace tt::ir {

/*! A variable of a launch that depends on the grid cell, by the cell's coordinate on an axis. */
struct GridIndex {
  View var = {};
  size_t axis;
  // A cluster has `cluster` cells on this axis, and the variable counts clusters, or cells in one.
  enum Kind { kCell, kCluster, kInCluster } kind = kCell;
  int64_t cluster = 1;

  Int Of(const Int& coordinate) const {
    if (kind == kCluster) return FloorDiv(coordinate, cluster);
    return kind == kInCluster ? FloorMod(coordinate, cluster) : coordinate;
  }
};

struct GridStatements {
  /*! They go when the launch becomes a loop: of each only its body stays, where it has one. */
  std::unordered_set<const TVMFFIObject*> stmts;
  std::vector<GridIndex> indices;  // each variable once
};

/*! \throw tt::Error for a launch whose indices are not those of its grid cells. */
GridStatements FindGridStatements(View func, const Launch& launch);

}  // namespace tt::ir
