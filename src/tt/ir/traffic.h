// What a launch moves between its cores and the memory of the parameters, and what it multiplies.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/parameters.h"
#include "ir/tile_ops.h"

namespace tt::ir {

/*!
 * A loop around an access. Its variable counts from 0; the trips may depend on the loops before it.
 * A condition is a loop of one trip or none, whose name no formula has.
 */
struct TrafficLoop {
  std::string name;
  Int trips;
  friend auto operator<=>(const TrafficLoop&, const TrafficLoop&) = default;
};

/*! One access to a tensor parameter, whenever its loops come to it: of a box, clipped at the edge. */
struct Transfer {
  int64_t parameter;
  Access access;
  std::string reason;       // why it is not understood; empty where it is
  std::vector<Int> start;   // by dimension, over bx, by, bz, the loops and the shape variables
  std::vector<Int> extent;  // in elements
  std::vector<TrafficLoop> loops;  // outermost first
  friend auto operator<=>(const Transfer&, const Transfer&) = default;
};

/*! C[m, n] += the sum over k of A[m, k] * B[k, n], by one operation. */
struct TileProduct {
  std::string reason;  // why it is not understood; empty where it is
  int64_t m = 0, n = 0, k = 0;
  std::array<std::string, 3> dtypes;  // of A, B and C
  std::vector<TrafficLoop> loops;     // outermost first
  friend auto operator<=>(const TileProduct&, const TileProduct&) = default;
};

struct Traffic {
  std::vector<Transfer> transfers;  // in program order
  std::vector<TileProduct> products;
  friend auto operator<=>(const Traffic&, const Traffic&) = default;
};

/*!
 * What one work tile of a launch does.
 *
 * A tile operation moves the box that its region says, each time it runs. Single elements are
 * gathered: loops that only spell out elements, and those that move the box on without gaps, become
 * part of its extent. Of a persistent launch bx, by and bz are the coordinates of its domain.
 * Nothing is guessed: what is not understood has a reason.
 */
Traffic ReadTraffic(View launch, const std::vector<Parameter>& parameters);

}  // namespace tt::ir
