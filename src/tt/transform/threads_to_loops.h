#pragma once

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.ThreadsToLoops. */
ir::Value ThreadsToLoops();

/*! What the pass does to one function. */
ir::Value SerializeThreads(const ir::Value& func);

}  // namespace tt::transform
