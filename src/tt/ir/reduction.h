// Whether a kernel adds up, or otherwise accumulates, what it reads.
#pragma once

#include <vector>

#include "ir/ffi.h"
#include "ir/parameters.h"

namespace tt::ir {

/*!
 * What the statements at and below `body` do. False only where no value is provably ever accumulated: no reduction is called, no pointer leaves
 * the kernel, and no stored value can depend on what the same memory held before.
 */
bool MayReduce(View body, const std::vector<Parameter>& parameters);

}  // namespace tt::ir
