// What a kernel does to the memory of its parameters.
#pragma once

#include <vector>

#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::ir {

/*! The bits of TVM's own access masks. */
enum Access : int { kNone = 0, kRead = 1, kWrite = 2, kReadWrite = 3 };

/*! "none", "read", "write" or "read_write". */
const char* ToString(Access access);

struct KernelAccess {
  std::vector<Access> parameters;  // in parameter order; kNone for scalars
  bool may_reduce;  // false only where no value is provably ever accumulated
};

/*!
 * Derived from loads, stores and the regions of tile operations, through every alias of a
 * parameter's memory and never from names. A pointer that leaves for a call counts as read and
 * written.
 */
KernelAccess AccessOf(const Value& func, const std::vector<Parameter>& parameters);

}  // namespace tt::ir
