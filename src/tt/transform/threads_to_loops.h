#pragma once

#include "ir/ffi.h"

namespace tt::transform {

/*! The pass tt.ThreadsToLoops. */
ir::Value ThreadsToLoops();

}  // namespace tt::transform
