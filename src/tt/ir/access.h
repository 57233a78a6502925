// What a kernel does to the memory of its parameters.
#pragma once

#include <vector>

#include "ir/ffi.h"
#include "ir/parameters.h"
#include "ir/tile_ops.h"

namespace tt::ir {

/*! "none", "read", "write" or "read_write". */
const char* ToString(Access access);

struct KernelAccess {
  std::vector<Access> parameters;  // in parameter order; kNone for scalars
  std::vector<View> foreign;  // buffers in DRAM that no parameter owns and no statement allocates
};

/*!
 * Derived from loads, stores and the regions of tile operations, through every alias of a
 * parameter's memory and never from names. A pointer that leaves for a call counts as read and
 * written.
 */
KernelAccess AccessOf(View func, const std::vector<Parameter>& parameters);

}  // namespace tt::ir
