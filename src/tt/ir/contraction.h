// What a kernel's matrix products sum over, and the loops whose lengths depend on sizes.
#pragma once

#include <string>
#include <vector>

#include "core/int.h"
#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::ir {

/*! A serial loop whose number of trips depends on shape variables. */
struct SizedLoop {
  std::string name;  // of its variable
  Int trips;
  friend bool operator==(const SizedLoop&, const SizedLoop&) = default;
};

struct Contractions {
  std::vector<Int> extents;  // in elements, those that differ, in program order
  std::string problem;       // why there may be others; empty where there are none
  std::vector<SizedLoop> loops;
};

/*!
 * The extent K of every product of matrices that a kernel's body computes.
 *
 * Where the kernel calls gemm operations, these are its products: K is the contracted extent of the
 * operands' regions, times the trips of the loops around the call over which the accumulator lives
 * on. Elsewhere a store `C[..] = C[..] + a * b` is one, with the loops around it that C does not
 * index. K ends where a tensor that an operand can be followed to ends. What sums without
 * multiplying is no product. Nothing is told from names; what is not certain is a problem.
 */
Contractions FindContractions(View body, const std::vector<Parameter>& parameters);

}  // namespace tt::ir
